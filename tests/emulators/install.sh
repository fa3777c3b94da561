#!/usr/bin/env bash
# Installs the GCS and BigQuery servers of the tests into a folder: install.sh [FOLDER], else .cache/emulators
# Does nothing when they are installed already. Exits with 3 when there is no Python 3.13.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../.cache/emulators}
folder=$(mkdir -p "$folder" && cd "$folder" && pwd)
stamp="$folder/installed"
wanted=$(cksum <"$here/requirements.txt")

if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
  exit 0
fi

# a python3.13 on PATH may be a shim that fails, so each candidate must prove itself
python=
for candidate in "${EMULATORS_PYTHON:-}" python3.13 "$(pyenv prefix 3.13 2>/dev/null || true)/bin/python"; do
  if [ -n "$candidate" ] && "$candidate" -c 'import sys; assert sys.version_info[:2] == (3, 13)' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "No Python 3.13 is at hand, so the GCS and BigQuery servers of the tests cannot be installed." >&2
  echo "Install one, or name it in EMULATORS_PYTHON." >&2
  exit 3
fi

# an install that is cut short must not pass for the one before it
rm -f "$stamp"
"$python" -m venv --clear "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"

# local-bigquery looks for DuckDB's extensions under its home folder
mkdir -p "$folder/home"
HOME="$folder/home" "$folder/venv/bin/python" - <<'PYTHON'
import duckdb
from duckdb_extensions import import_extension

for name in ("icu", "ducklake", "httpfs", "spatial"):
    import_extension(name)
with duckdb.connect() as db:
    for name in ("ducklake", "httpfs", "spatial"):
        db.execute(f"LOAD {name}")
PYTHON

echo "$wanted" >"$stamp"
