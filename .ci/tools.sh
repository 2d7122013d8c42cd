#!/usr/bin/env bash
# Installs sqlx's command line tool into target/tools, in the version of sqlx that Cargo.lock pins,
# so that the two agree on migrations and on the form of .sqlx.
#
# Usage: .ci/tools.sh        (takes one to two minutes the first time, nothing after that)
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

version=$(locked_version sqlx)
[[ -n $version ]] || fail "Cargo.lock pins no sqlx"
if [[ $(target/tools/bin/sqlx --version 2>/dev/null) == "sqlx-cli $version" ]]; then
    exit 0
fi
note "installing sqlx-cli $version into target/tools"
CARGO_TARGET_DIR=$PWD/target/tools/build cargo install sqlx-cli --version "$version" --locked \
    --no-default-features --features postgres,rustls --debug --root target/tools --quiet
