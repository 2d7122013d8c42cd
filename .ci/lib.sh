# shellcheck shell=bash
# Functions that the scripts in this folder share. To be sourced by bash.

# No script ends without saying where, also where the failing command was a silent one.
set -E
trap 'printf "error: %s stopped at line %s\n" "${BASH_SOURCE[0]}" "$LINENO" >&2' ERR

note() { printf '==> %s\n' "$*" >&2; }
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Makes sure of root's rights, directly or through sudo, which may ask for a password where somebody
# can give one. The argument says what for: require_root "install make"
require_root() {
    ((EUID == 0)) && return 0
    if command -v sudo >/dev/null; then
        sudo -n true 2>/dev/null && return 0
        [[ -t 0 ]] && sudo -v && return 0
    fi
    fail "only root can $1: do it, or run this again as root"
}

# Runs a command with the rights that require_root made sure of.
as_root() {
    if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi
}

# Installs those of the named Debian packages that are not there yet.
install_packages() {
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed \
            || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || fail "please install what Debian calls: ${missing[*]}"
    require_root "install ${missing[*]} (apt-get install ${missing[*]})"
    note "installing ${missing[*]}"
    apt_get update
    apt_get install --no-install-recommends "${missing[@]}"
}

# Runs apt-get, whose many words are only of interest when it fails.
apt_get() {
    local log
    mkdir -p target/ci
    log=$(mktemp target/ci/apt.XXXXXX)
    if ! as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -q "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "apt-get $* did not succeed"
    fi
    rm -f "$log"
}

# Installs packages for commands that are missing: install_commands make:make cc:gcc
install_commands() {
    local pair packages=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || packages+=("${pair#*:}")
    done
    ((${#packages[@]} == 0)) || install_packages "${packages[@]}"
}

# Installs the PostgreSQL server programs, unless some are there. Debian's package would also
# create a cluster and run it on port 5432, where it is of no use to us and in the way of others.
install_postgres_binaries() {
    compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null && return 0
    command -v initdb >/dev/null && return 0
    command -v apt-get >/dev/null || fail "please install your system's PostgreSQL server (initdb)"
    require_root "install postgresql (apt-get install postgresql)"
    as_root install -d /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' \
        | as_root tee /etc/postgresql-common/createcluster.d/no-main-cluster.conf >/dev/null
    install_packages postgresql
}

# Installs OpenSSH's server, which tests run by themselves, unless it is there. Debian's package would also run one on
# port 22.
install_sshd() {
    [[ -x /usr/sbin/sshd ]] && return 0
    require_root "install openssh-server (apt-get install openssh-server)"
    local policy=/usr/sbin/policy-rc.d
    if [[ -e $policy ]]; then
        install_packages openssh-server
        return
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    install_packages openssh-server
    as_root rm "$policy"
}

# The version of a package as Cargo.lock pins it: locked_version sqlx
locked_version() {
    awk -v name="\"$1\"" '$1 == "name" { found = $3 == name } found && $1 == "version" { gsub(/"/, "", $3); print $3; exit }' Cargo.lock
}
