#!/usr/bin/env bash
# Checks the alarms of deploy/prometheus and runs their tests, by promtool. Where that is missing, it is taken out of
# Debian's package of Prometheus into target/tools: installed, the package would run a server.
#
# Usage: .ci/alerts.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

export PATH=$PATH:$PWD/target/tools/bin

# Puts promtool into target/tools/bin.
fetch_promtool() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null \
        || fail "please install promtool: it comes with Prometheus"
    note "taking promtool out of the package prometheus into target/tools"
    local into
    mkdir -p target/tools/bin
    into=$(mktemp -d target/tools/prometheus.XXXXXX)
    if ! (cd "$into" && apt-get -q download prometheus >/dev/null 2>&1); then
        require_root "update the lists of packages (apt-get update)"
        apt_get update
        (cd "$into" && apt-get -q download prometheus >/dev/null) || fail "the package prometheus cannot be had"
    fi
    dpkg-deb --fsys-tarfile "$into"/prometheus_*.deb | tar -x -C "$into" ./usr/bin/promtool
    mv "$into/usr/bin/promtool" target/tools/bin/promtool
    rm -r "$into"
}

command -v promtool >/dev/null || fetch_promtool
promtool check rules deploy/prometheus/alerts.yaml
promtool test rules deploy/prometheus/alerts.test.yaml
