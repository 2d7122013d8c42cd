#!/usr/bin/env bash
# Makes sure that a Docker engine answers: installs and starts one where none does.
#
# Usage: .ci/engine.sh
#
# May be run any number of times. Where nothing has to be done it needs no rights; installing and
# starting need root. An engine started here goes on running; its log is target/ci/dockerd.log.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/lib.sh

readonly LOG=target/ci/dockerd.log
readonly PATIENCE_SECONDS=45

answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# Waits for an answer. Gives up early when the process named by the first argument has ended.
wait_for_answer() {
    local pid=${1:-} end=$((SECONDS + PATIENCE_SECONDS))
    while ((SECONDS < end)); do
        answers && return 0
        [[ -z $pid ]] || kill -0 "$pid" 2>/dev/null || return 1
        sleep 0.5
    done
    return 1
}

# Starts dockerd on its own, away from our terminal and process group, so that it outlives us.
start_dockerd() {
    note "starting dockerd ${*:-with its own choice of storage driver} (log: $LOG)"
    setsid nohup dockerd "$@" </dev/null >>"$LOG" 2>&1 &
    local pid=$!
    wait_for_answer "$pid" && return 0
    kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    return 1
}

start_engine() {
    if [[ -d /run/systemd/system ]]; then
        note "starting the docker service"
        systemctl start docker && wait_for_answer && return 0
        return 1
    fi
    mkdir -p "$(dirname "$LOG")"
    # vfs copies every layer: slow and large, but it works on any file system.
    start_dockerd || start_dockerd --storage-driver=vfs
}

explain_and_fail() {
    if [[ -f $LOG ]]; then
        note "the last words of dockerd:"
        grep -E 'level=(error|fatal)|failed|Error' "$LOG" | tail -n 15 >&2 || tail -n 15 "$LOG" >&2
    fi
    fail "no Docker engine answers, and one could not be started. The tests need it. Start one," \
        "or set DOCKER_HOST, and try again."
}

if command -v docker >/dev/null && answers; then
    exit 0
fi
if [[ -n ${DOCKER_HOST:-} ]]; then
    fail "DOCKER_HOST is $DOCKER_HOST, and no engine answers there"
fi
if command -v docker >/dev/null && docker version 2>&1 | grep -qi 'permission denied'; then
    fail "a Docker engine is there, but $(id -un) may not use it: add yourself to the group docker"
fi
((EUID == 0)) || fail "no Docker engine answers; to install and start one, run $0 as root"
{ command -v dockerd && command -v docker; } >/dev/null || install_packages docker.io
# The package starts the engine by itself where it can.
answers || start_engine || explain_and_fail
note "Docker $(docker version --format '{{.Server.Version}}') answers," \
    "storage driver $(docker info --format '{{.Driver}}')"
