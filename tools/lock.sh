#!/bin/sh
# Pin every dependency with its hashes: lock.sh UV. The files name no index, so any mirror will do.
# One lock holds for every platform and Python the project supports (--universal).
set -eu
uv=$1

compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --upgrade \
        --generate-hashes --no-emit-index-url --no-header "$@"
}

compile locks/setup.in --output-file locks/setup.txt
compile pyproject.toml --group dev --output-file locks/dev.txt
# What runs in production is, version for version, what was tested.
compile pyproject.toml --constraint locks/dev.txt --output-file locks/runtime.txt
