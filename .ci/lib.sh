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

# Runs a command as root: directly, or through sudo where it asks nothing or somebody can answer.
as_root() {
    if ((EUID == 0)); then
        "$@"
    elif sudo -n true 2>/dev/null || { command -v sudo >/dev/null && [[ -t 0 ]]; }; then
        sudo "$@"
    else
        fail "this needs root: $*"
    fi
}

# Installs those of the named Debian packages that are not there yet.
install_packages() {
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed \
            || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    note "installing ${missing[*]}"
    as_root apt-get update -qq || fail "apt-get update does not work here; its words are above"
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 \
        || fail "apt-get could not install ${missing[*]}; its words are above"
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
    command -v apt-get >/dev/null \
        || fail "no PostgreSQL server programs here: install your system's postgresql package"
    as_root install -d /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' \
        | as_root tee /etc/postgresql-common/createcluster.d/no-main-cluster.conf >/dev/null
    install_packages postgresql
}

# The version of a package as Cargo.lock pins it: locked_version sqlx
locked_version() {
    awk -v name="\"$1\"" '$1 == "name" { found = $3 == name } found && $1 == "version" { gsub(/"/, "", $3); print $3; exit }' Cargo.lock
}
