#!/usr/bin/env bash
# Installs Airflow for the tests into a folder: install.sh [FOLDER [celery]], else .cache/airflow
# With celery, also what a CeleryExecutor needs (by hand only). Does nothing when it is installed already.
# The project itself is not installed there: the tests put it on PYTHONPATH.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${1:-$here/../../.cache/airflow}
folder=$(mkdir -p "$folder" && cd "$folder" && pwd)
extra=${2:-}
stamp="$folder/installed"
wanted=$(cksum <"$here/requirements.txt")

if ! { [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; }; then
  # an install that is cut short must not pass for the one before it
  rm -f "$stamp" "$stamp-celery"
  "${PYTHON:-python3}" -m venv --clear "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --no-deps --requirement "$here/requirements.txt"
  "$folder/venv/bin/python" -m pip check
  echo "$wanted" >"$stamp"
fi

wanted=$(cksum <"$here/requirements-celery.txt")
if [ "$extra" = celery ] && ! { [ -f "$stamp-celery" ] && [ "$(cat "$stamp-celery")" = "$wanted" ]; }; then
  "$folder/venv/bin/python" -m pip install --quiet --no-deps --requirement "$here/requirements-celery.txt"
  "$folder/venv/bin/python" -m pip check
  echo "$wanted" >"$stamp-celery"
fi
