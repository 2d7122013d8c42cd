#!/usr/bin/env bash
# Prints the path of the program as it was last released before the present commit: the newest tag
# v* that leads here. The first time it is built, which takes some minutes. Prints nothing where
# nothing was released yet. The test of rolling upgrades runs it next to the present program.
#
# Usage: TRIBUTARY_PREVIOUS=$(.ci/previous.sh) cargo test
#
# A TRIBUTARY_PREVIOUS that is set already is taken as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

if [[ -n ${TRIBUTARY_PREVIOUS:-} ]]; then
    [[ -x $TRIBUTARY_PREVIOUS ]] || fail "TRIBUTARY_PREVIOUS is no program: $TRIBUTARY_PREVIOUS"
    realpath "$TRIBUTARY_PREVIOUS"
    exit 0
fi
if [[ $(git rev-parse --is-shallow-repository 2>/dev/null || echo none) != false ]]; then
    note "no whole git history here: no previous release to test with"
    exit 0
fi
# of v1.0.0-rc.1 and v1.0.0 the second is the newer; the tag of this very commit is not the previous
tag=$(git -c versionsort.suffix=- tag --list 'v*' --merged HEAD --no-contains HEAD --sort=-version:refname \
    | sed -n 1p)
if [[ -z $tag ]]; then
    note "no release yet (no tag v*): no previous one to test with"
    exit 0
fi
folder=$(realpath -m "${CARGO_TARGET_DIR:-target}/previous")
program=$folder/$tag/tributary
if [[ ! -x $program ]]; then
    note "building $tag into $folder"
    rm -rf "$folder/$tag"
    mkdir -p "$folder/$tag/source"
    git archive "$tag" | tar -x -C "$folder/$tag/source"
    (cd "$folder/$tag/source" \
        && CARGO_TARGET_DIR=$folder/build SQLX_OFFLINE=true cargo build --locked --bin tributary >&2)
    cp "$folder/build/debug/tributary" "$program.new"
    rm -rf "$folder/$tag/source"
    mv "$program.new" "$program"
fi
echo "$program"
