#!/usr/bin/env bash
# Checks by deny.toml what Tributary is built from. Installs cargo-deny into target/tools the first
# time, which takes some minutes.
#
# Usage: .ci/deny.sh
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

readonly VERSION=0.20.2

if [[ $(target/tools/bin/cargo-deny --version 2>/dev/null) != "cargo-deny $VERSION" ]]; then
    note "installing cargo-deny $VERSION into target/tools"
    CARGO_TARGET_DIR=$PWD/target/tools/build cargo install cargo-deny --version "$VERSION" --locked \
        --root target/tools --quiet --debug
fi
export PATH=$PWD/target/tools/bin:$PATH
cargo deny --locked check licenses bans sources
# the database of advisories is fetched: where that cannot be had, nothing is said about them
cargo deny --locked check advisories || fail "advisories: see above; without a network, what can be checked was checked"
