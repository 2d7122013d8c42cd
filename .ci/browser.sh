#!/usr/bin/env bash
# Installs what the tests of the console in a browser need: Chromium and its driver, axe-core, which finds what keeps
# people from using a page, and oidc-provider, through which people sign in.
#
# Usage: .ci/browser.sh      (as root, where something has to be installed)
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

readonly AXE=4.14.1 OIDC_PROVIDER=9.13.3
readonly INTO=target/tools/browser

install_commands chromium:chromium chromedriver:chromium-driver npm:npm
# without a font there is nothing to see
install_packages fonts-dejavu-core
version() { jq -r .version "$INTO/node_modules/$1/package.json" 2>/dev/null; }
if [[ $(version axe-core) != "$AXE" || $(version oidc-provider) != "$OIDC_PROVIDER" ]]; then
    note "installing axe-core $AXE and oidc-provider $OIDC_PROVIDER into $INTO"
    mkdir -p "$INTO"
    # both at once: what is not named is removed
    npm install --prefix "$INTO" --no-save --no-audit --no-fund --ignore-scripts --silent \
        "axe-core@$AXE" "oidc-provider@$OIDC_PROVIDER"
fi
