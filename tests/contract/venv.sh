#!/bin/sh
# Makes .dev/venv with the packages of requirements.txt, where it is not there or has others.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../.dev/venv

if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    echo "installing tests/contract/requirements.txt into .dev/venv" >&2
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
