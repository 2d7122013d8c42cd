#!/usr/bin/env bash
# Starts PostgreSQL in a container; makes the database first where the data folder is empty.
#
#   POSTGRES_PASSWORD          of the superuser; required, unless the method below is trust
#   POSTGRES_USER              name of the superuser (postgres)
#   POSTGRES_DB                database to create (the user's name)
#   POSTGRES_HOST_AUTH_METHOD  how clients over TCP prove who they are (scram-sha-256)
#   POSTGRES_INITDB_ARGS       further arguments of initdb
#   PGDATA                     the data folder
#
# Each of the POSTGRES_ variables may be given as NAME_FILE, the path of a file that holds it.
# Arguments that begin with a dash go to postgres. *.sql, *.sql.gz and *.sh files in
# /docker-entrypoint-initdb.d run once, in the order of their names, after the database was made.
set -euo pipefail

readonly INIT_FILES=/docker-entrypoint-initdb.d

refuse() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Sets variable $1 from the file that $1_FILE names, or to the default $2.
setting() {
    local name=$1 file_name=$1_FILE
    if [[ -n ${!file_name:-} ]]; then
        [[ -z ${!name:-} ]] || refuse "give $name or $file_name, not both"
        printf -v "$name" '%s' "$(<"${!file_name}")"
    fi
    printf -v "$name" '%s' "${!name:-$2}"
    export "${name?}"
    unset "$file_name"
}

read_settings() {
    setting POSTGRES_PASSWORD ''
    setting POSTGRES_USER postgres
    setting POSTGRES_DB "$POSTGRES_USER"
    setting POSTGRES_INITDB_ARGS ''
    setting POSTGRES_HOST_AUTH_METHOD scram-sha-256
    [[ -n $POSTGRES_PASSWORD || $POSTGRES_HOST_AUTH_METHOD == trust ]] \
        || refuse "the database is empty and has no superuser password: set POSTGRES_PASSWORD"
}

# As root: hand the folders to user postgres and go on as that user, who may run a server.
become_postgres() {
    install -d -m 0700 -o postgres -g postgres "$PGDATA"
    find "$PGDATA" ! -user postgres -exec chown postgres:postgres {} +
    export HOME=/var/lib/postgresql
    exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
}

create_cluster() {
    # Evaluated, so that the arguments split and unquote as in a shell. The password goes through a
    # pipe: neither a file nor the list of processes ever holds it.
    local password=
    # shellcheck disable=SC2016 # to be expanded by eval
    [[ -z $POSTGRES_PASSWORD ]] || password='--pwfile=<(printf "%s\n" "$POSTGRES_PASSWORD")'
    eval "initdb --username=\"\$POSTGRES_USER\" $password $POSTGRES_INITDB_ARGS"
    printf 'host all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"
    sed -i "s/^#\?listen_addresses = .*/listen_addresses = '*'/" "$PGDATA/postgresql.conf"
}

query() { PGPASSWORD=$POSTGRES_PASSWORD psql -v ON_ERROR_STOP=1 --no-psqlrc --username="$POSTGRES_USER" --no-password "$@"; }

create_database() {
    [[ $POSTGRES_DB == postgres ]] \
        || query --dbname=postgres --set=db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
}

run_init_files() {
    local file
    for file in "$INIT_FILES"/*; do
        case $file in
            *.sql) echo "running $file" && query --dbname="$POSTGRES_DB" --file="$file" ;;
            *.sql.gz) echo "running $file" && gunzip -c "$file" | query --dbname="$POSTGRES_DB" ;;
            *.sh)
                echo "running $file"
                # shellcheck source=/dev/null
                . "$file"
                ;;
        esac
    done
}

# Takes a half-made cluster away: the next start would take it for a whole one.
discard() {
    pg_ctl -D "$PGDATA" -m immediate -w stop >/dev/null 2>&1 || true
    find "$PGDATA" -mindepth 1 -delete
    refuse "could not initialise $PGDATA"
}

# Fills the new cluster through a server that nobody outside can reach. This server's log goes to
# stdout and the final one's to stderr: a waiting client that reads both can tell them apart.
initialise() {
    local options=(-c listen_addresses= "$@")
    read_settings
    trap discard EXIT
    create_cluster
    pg_ctl -D "$PGDATA" -w start -o "${options[*]@Q}"
    create_database
    run_init_files
    pg_ctl -D "$PGDATA" -m fast -w stop
    trap - EXIT
    echo 'PostgreSQL is initialised; starting it.'
}

[[ ${1:-} != -* ]] || set -- postgres "$@"
# Other programs, and questions to postgres itself (--version), need no database.
if [[ ${1:-} != postgres || " $* " =~ \ (-V|--version|-\?|--help|--describe-config)\  ]]; then
    exec "$@"
fi
((EUID != 0)) || become_postgres "$@"
if [[ ! -s $PGDATA/PG_VERSION ]]; then
    initialise "${@:2}"
fi
exec "$@"
