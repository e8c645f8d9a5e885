# Sourced by quickstart.sh and runtests.sh: one virtual environment, .venv in the repository, for both.
# Needs bash 3.2 (macOS) and Python 3.10 to 3.13; everything else is installed here.

say() { printf '== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The first Python that fits; python3 first, because it is the one its user chose.
find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
            >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    fail "no Python 3.10 to 3.13 with venv found; install one (on Debian and Ubuntu: python3 and python3-venv)"
}

# Without an NVIDIA GPU, one fixed version is asked for first: package indexes that serve CPU builds have that one.
install_torch() {
    if "$PYTHON" -c 'import sys; from importlib.metadata import version
sys.exit(not (2, 11) <= tuple(int(part) for part in version("torch").split(".")[:2]) < (2, 14))' 2>/dev/null; then
        return
    fi
    if [ "$(uname -s)" = Linux ] && ! command -v nvidia-smi >/dev/null 2>&1; then
        say "installing PyTorch 2.13.0"
        "$PYTHON" -m pip install -qq torch==2.13.0 && return
    fi
    say "installing PyTorch"
    "$PYTHON" -m pip install -qq 'torch>=2.11,<2.14'
}

# prepare_environment [EXTRA]: make or complete .venv and set PYTHON. A stamp makes the next call with the same
# requirements return at once.
prepare_environment() {
    local extra="${1:-}" base stamp wanted
    PYTHON="$ROOT/.venv/bin/python"
    stamp="$ROOT/.venv/installed${extra:+-$extra}"
    # What holds an extra holds the rest too.
    [ -n "$extra" ] || [ ! -f "$stamp-test" ] || stamp="$stamp-test"
    if ! "$PYTHON" -c '' >/dev/null 2>&1; then
        base="$(find_python)"
        say "making .venv with $("$base" --version)"
        rm -rf "$ROOT/.venv"
        "$base" -m venv "$ROOT/.venv"
    fi
    wanted="$(cat "$ROOT/requirements.txt" "$ROOT/pyproject.toml" "$ROOT/.ci/environment.sh" | cksum) $ROOT"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return
    fi
    say "installing into .venv (the first time takes some minutes)"
    install_torch
    say "installing the package and its requirements"
    "$PYTHON" -m pip install -qq --editable "$ROOT${extra:+[$extra]}"
    # The package asks for NumPy 1, but works with 2 as DualTreeFusion calls it; the tests of that class skip without it.
    [ "$extra" != test ] || "$PYTHON" -m pip install -qq --no-deps dtcwt six ||
        say "dtcwt could not be installed: its tests will be skipped"
    echo "$wanted" >"$stamp"
}
