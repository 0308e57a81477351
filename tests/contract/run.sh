#!/usr/bin/env bash
# Holds a running server to its OpenAPI document and to the rules of every endpoint, and reads it
# with pandas and DuckDB, the lines that its pages offer included.
#
#   tests/contract/run.sh http://127.0.0.1:8080
#
# A debug build takes longer than its own time limit for all versions of fifteen years of a derived
# series, so give it a demo, or a release build where the database has a long history.
set -euo pipefail

if [ $# -ne 1 ]; then
    echo "usage: tests/contract/run.sh BASE_URL" >&2
    exit 2
fi
base_url=${1%/}
here=$(cd "$(dirname "$0")" && pwd)
venv=$here/../../.dev/venv
sh "$here/venv.sh"

# Two seeds, so that what one happens to miss the other may find. Schemathesis leaves its caches
# in the directory it is started from.
cd "$venv/.."
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here SCHEMATHESIS_HOOKS=schemathesis_checks
for seed in 20241130 7; do
    "$venv/bin/st" --config-file "$here/schemathesis.toml" run "$base_url/openapi.json" \
        --phases examples,coverage,fuzzing,stateful --seed "$seed" --no-color
done
"$venv/bin/python" "$here/follow_the_rules.py" "$base_url"
"$venv/bin/python" "$here/read_with_pandas_and_duckdb.py" "$base_url"
"$venv/bin/python" "$here/run_snippets.py" "$base_url"
