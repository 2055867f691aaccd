#!/usr/bin/env bash
# Two `pipekit serve` on one machine, as if on two hosts (a and b), sharing one PostgreSQL. See README.md.
set -euo pipefail

usage() {
    cat >&2 <<'END'
Usage: two-hosts.sh start FOLDER STATE_URL DAGSTER_URL [PORT]   hosts a and b at PORT and PORT + 1 (3001, 3002)
       two-hosts.sh run FOLDER HOST ARGUMENT...                 a pipekit command on host a or b
       two-hosts.sh boot FOLDER HOST                            start a host's server again
       two-hosts.sh kill FOLDER HOST                            the host vanishes: every process of it, at once
       two-hosts.sh status FOLDER                               what /health says of each
       two-hosts.sh stop FOLDER                                 end both servers, and the runs that are left
END
    exit 2
}

[ $# -ge 2 ] || usage
action=$1 folder=$2
shift 2
pipekit=${PIPEKIT:-pipekit}

# As root, a host name of its own for each: to the other, its processes are those of another machine.
as_host() { # HOST COMMAND...
    local host=$1
    shift
    if [ "$(id -u)" = 0 ] && unshare --uts true 2>/dev/null; then
        # shellcheck disable=SC2016  # $0 and $@ are the inner shell's
        exec unshare --uts sh -c 'hostname "$0" && exec "$@"' "pipekit-$host" "$@"
    fi
    exec "$@"
}

configured() { # HOST COMMAND...
    local host=$1
    shift
    cd "$folder/$host"
    export PIPEKIT_CONFIG="$folder/$host/pipekit.yaml" DAGSTER_HOME="$folder/$host/dagster" PIPEKIT_TWO_HOSTS="$folder/$host"
    as_host "$host" "$@"
}

boot() { # HOST
    # shellcheck disable=SC2086  # the command may be of several words
    (configured "$1" setsid $pipekit serve >>"$folder/$1/serve.log" 2>&1 </dev/null) &
}

# Every process that was started for a host says so in its environment, whatever became of its parent. jrunner, which inherits
# little, ends with the process that started it.
processes_of() { # HOST
    # A process that ends while it is looked at is an error to grep.
    { grep -slzxF -- "PIPEKIT_TWO_HOSTS=$folder/$1" /proc/[0-9]*/environ || true; } | tr -dc '0-9\n'
}

signal() { # SIGNAL HOST
    local pids
    pids=$(processes_of "$2")
    # shellcheck disable=SC2086  # one word each
    [ -z "$pids" ] || kill -s "$1" $pids 2>/dev/null || true
}

gone() { # HOST SECONDS
    local tries=$(($2 * 5))
    while [ -n "$(processes_of "$1")" ]; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.2
    done
}

case $action in
    start)
        [ $# -ge 2 ] || usage
        port=${3:-3001}
        mkdir -p "$folder"
        folder=$(cd "$folder" && pwd)
        for host in a b; do
            mkdir -p "$folder/$host"
            (
                umask 077
                cat >"$folder/$host/pipekit.yaml" <<END
database: $1
dagster_storage: $2
secrets: ../secrets.env
port: $port
END
            )
            port=$((port + 1))
        done
        # shellcheck disable=SC2086
        (configured a $pipekit init)
        boot a
        boot b
        ;;
    run)
        [ $# -ge 2 ] || usage
        folder=$(cd "$folder" && pwd)
        host=$1
        shift
        # shellcheck disable=SC2086
        configured "$host" $pipekit "$@"
        ;;
    boot | kill)
        [ $# = 1 ] || usage
        folder=$(cd "$folder" && pwd)
        if [ "$action" = boot ]; then
            boot "$1"
        else
            tries=50
            # Again and again: what is being started while the list is made does not stand in it.
            until signal KILL "$1" && gone "$1" 1; do
                tries=$((tries - 1))
                [ $tries -gt 0 ] || exit 1
            done
        fi
        ;;
    status)
        folder=$(cd "$folder" && pwd)
        for host in a b; do
            port=$(sed -n 's/^port: //p' "$folder/$host/pipekit.yaml")
            printf '%s: ' "$host"
            curl --silent --max-time 5 "http://127.0.0.1:$port/health" || printf 'no answer'
            printf '\n'
        done
        ;;
    stop)
        folder=$(cd "$folder" && pwd)
        for host in a b; do
            signal TERM "$host"
        done
        for host in a b; do
            gone "$host" 15 || signal KILL "$host"
        done
        ;;
    *) usage ;;
esac
