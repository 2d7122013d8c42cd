#!/usr/bin/env bash
# Builds and starts the services of docker-compose.yml, waits until Tributary answers, and says how
# to reach everything.
#
# Usage: .ci/up.sh [PROFILE]         (demo: the stand-in for an FSP, too)
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

readonly PATIENCE_SECONDS=90

# The plugin of today's Docker, or else the older program of its own.
compose() {
    if docker compose version >/dev/null 2>&1; then docker compose "$@"; else docker-compose "$@"; fi
}

command -v docker >/dev/null || fail "Docker is not installed; as root, .ci/engine.sh does it"
docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null \
    || fail "neither \`docker compose\` nor docker-compose is here; install one of them"
compose ${1:+--profile "$1"} up --detach --build \
    || fail "the services did not start. Where a port is taken, set TRIBUTARY_PORT or POSTGRES_PORT;" \
        "where an image cannot be had, make images builds it."

address=$(compose port tributary 8080)
end=$((SECONDS + PATIENCE_SECONDS))
until curl --fail --silent --output /dev/null "http://$address/healthz"; do
    ((SECONDS < end)) || fail "Tributary does not answer at http://$address/healthz: see make logs"
    sleep 0.5
done
cat <<END

Tributary   http://$address   (healthy)
PostgreSQL  $(compose port db 5432), database tributary, logins tributary_owner, tributary_service and ${TRIBUTARY_OPERATOR:-operator}
Keys        docker compose run --rm migrate keys create --provider NAME --scope connector
Log         make logs
Stop        make down   (the data stays, in a volume)
END
