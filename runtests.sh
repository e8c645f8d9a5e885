#!/usr/bin/env bash
# Style and tests in .venv. `./runtests.sh` runs everything but the long matrices, `./runtests.sh --full` those too;
# further arguments go to pytest. FUSION_DATA_DIR may name a folder of real images; tests that need it skip without.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$ROOT/.ci/environment.sh"
prepare_environment test
cd "$ROOT"

selection=(-m "not full")
if [ "${1:-}" = --full ]; then
    selection=()
    shift
fi
if [ "$(uname -s)" = Linux ]; then
    # glibc: keep freed tensors instead of mapping fresh pages for each, which on virtual machines costs most of the time.
    export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 MALLOC_TOP_PAD_=200000000
fi

# A process for each core, four at most, since each holds PyTorch. A file's tests stay in one: they share trainings.
workers=()
count="$("$PYTHON" -c 'import os; print(min(4, os.cpu_count() or 1))')"
if [ "$count" -gt 1 ] && "$PYTHON" -c 'import xdist' 2>/dev/null; then
    workers=(-n "$count" --dist loadfile)
    export OMP_NUM_THREADS=1
fi

code=0
say "ruff"
"$PYTHON" -m ruff check . || code=$?
"$PYTHON" -m ruff format --check . || code=$?
say "pytest"
"$PYTHON" -m pytest --durations=10 ${workers[@]+"${workers[@]}"} ${selection[@]+"${selection[@]}"} "$@" || code=$?
exit "$code"
