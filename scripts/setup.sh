#!/bin/sh
# Find a Python that can run pipekit (get one by apt where that is possible), then let setup.py do the rest.
#   scripts/setup.sh demo|test [--dest postgresql]
# PYTHON=/path/to/python chooses one by hand.
set -eu
cd "$(dirname "$0")/.."

good() { "$1" -c 'import sys, venv, ensurepip, sqlite3; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python3.10 python; do
        if command -v "$candidate" >/dev/null 2>&1 && good "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

if [ -n "${PYTHON:-}" ] && ! good "$PYTHON"; then
    echo "setup: PYTHON=$PYTHON is not a Python 3.10 or newer with venv, ensurepip and sqlite3." >&2
    exit 1
fi
if ! python=$(find_python); then
    if command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
        echo "setup: installing python3 and python3-venv by apt"
        export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
        apt-get update -qq >/dev/null 2>&1 || true
        said=$(apt-get install -y -qq --no-install-recommends python3 python3-venv 2>&1) || echo "$said" >&2
    fi
    if ! python=$(find_python); then
        echo "setup: pipekit needs Python 3.10 or newer with its venv module, and none was found on PATH." >&2
        echo "       On Debian or Ubuntu: sudo apt-get install python3 python3-venv" >&2
        echo "       Elsewhere: install Python from your system's packages, or name one: make PYTHON=/path/to/python3" >&2
        exit 1
    fi
fi
exec "$python" scripts/setup.py "$@"
