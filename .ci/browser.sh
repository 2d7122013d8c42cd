#!/usr/bin/env bash
# Installs what the tests of the console in a browser need: Chromium and its driver, and axe-core, which finds what keeps
# people from using a page.
#
# Usage: .ci/browser.sh      (as root, where something has to be installed)
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

readonly AXE=4.14.1
readonly INTO=target/tools/browser

install_commands chromium:chromium chromedriver:chromium-driver npm:npm
# without a font there is nothing to see
install_packages fonts-dejavu-core
if [[ $(jq -r .version "$INTO/node_modules/axe-core/package.json" 2>/dev/null) != "$AXE" ]]; then
    note "installing axe-core $AXE into $INTO"
    mkdir -p "$INTO"
    npm install --prefix "$INTO" --no-save --no-audit --no-fund --ignore-scripts --silent "axe-core@$AXE"
fi
