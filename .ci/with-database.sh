#!/usr/bin/env bash
# Runs a command with DATABASE_URL naming an empty, throw-away PostgreSQL in a container, which goes
# when the command ends.
#
# Usage: .ci/with-database.sh COMMAND [ARGUMENT…]
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

readonly PATIENCE_SECONDS=60

docker version >/dev/null 2>&1 || fail "no Docker engine answers; as root, .ci/engine.sh starts one"
container=$(docker run --detach --env POSTGRES_PASSWORD=throwaway --publish 127.0.0.1::5432 \
    "${POSTGRES_IMAGE:-postgres:18}" -c fsync=off)
trap 'docker rm --force --volumes "$container" >/dev/null' EXIT
until docker exec "$container" pg_isready --quiet --host=127.0.0.1; do
    ((SECONDS < PATIENCE_SECONDS)) || fail "PostgreSQL did not come up: $(docker logs "$container" 2>&1 | tail -n 5)"
    sleep 0.2
done
address=$(docker port "$container" 5432/tcp | head -n 1)
DATABASE_URL=postgres://postgres:throwaway@$address/postgres "$@"
