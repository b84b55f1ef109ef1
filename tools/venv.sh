#!/bin/sh
# Make a virtual environment with pip in it: venv.sh PYTHON DIRECTORY. Does nothing when it is there.
# Debian keeps the standard library's ensurepip in a package of its own (python3-venv).
set -eu
python=$1 venv=$2

if [ -x "$venv/bin/python" ] && "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi
if ! command -v "$python" >/dev/null; then
    echo "duewise: no '$python' found. Mend: install Python 3.11 or newer, or make PYTHON=/path/to/it" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))'; then
    echo "duewise: $("$python" --version) is not between 3.11 and 3.14. Mend: make PYTHON=python3.11" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip' >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "duewise: this Python has no venv module; installing Debian's python3-venv" >&2
        export DEBIAN_FRONTEND=noninteractive
        apt-get install -y -q python3-venv || { apt-get update -q && apt-get install -y -q python3-venv; }
    else
        echo "duewise: this Python has no venv module. Mend: sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi
"$python" -m venv --clear "$venv"
