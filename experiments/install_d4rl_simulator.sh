#!/usr/bin/env bash
# Build D4RL's own simulator (d4rl, gym 0.23, mujoco-py and the MuJoCo 2.1.0 binaries) into an environment apart, ./.venv-d4rl, for
# `--simulator d4rl` and experiments/tools/compare_simulators.py. Takes 2 to 5 minutes, of which the compiler most; needs Linux on x86-64.
#
#     experiments/install_d4rl_simulator.sh [DIRECTORY]        PYTHON=python3.10 chooses the interpreter (3.9 to 3.11)
#
# Killed in the middle, it goes on when run again. Another DIRECTORY has to be named to the platform: AILOT_D4RL_PYTHON=DIRECTORY/bin/python.
set -euo pipefail

here="$(cd "$(dirname "$0")/.." && pwd)"
target="$(realpath -m "${1:-$here/.venv-d4rl}")"
PYTHON="${PYTHON:-python3}"
log="$target/build.log"
wheel_digest=f541d84b6bd87919ccf28f5a708681ca90560a945d104aca393d89275790efb8 # of free-mujoco-py 2.1.6, which carries the binaries

fail() { echo "install_d4rl_simulator: $*" >&2; exit 1; }

[ "$(uname -sm)" = "Linux x86_64" ] || fail "the MuJoCo 2.1.0 binaries are for Linux on x86-64, this is $(uname -sm): use the default simulator"
command -v "$PYTHON" >/dev/null || fail "$PYTHON is not there: PYTHON=python3.11 $0"
"$PYTHON" -c 'import sys; sys.exit(not (3, 9) <= sys.version_info[:2] <= (3, 11))' ||
    fail "mujoco-py needs Python 3.9 to 3.11, $PYTHON is $("$PYTHON" -V): PYTHON=python3.11 $0"
packages="gcc libc6-dev libosmesa6-dev libglew-dev"
command -v gcc >/dev/null || fail "no C compiler: apt-get install $packages"
for header in GL/osmesa.h GL/glew.h; do
    echo "#include <$header>" | gcc -E - >/dev/null 2>&1 || fail "the header $header is not there: apt-get install $packages"
done

mkdir -p "$target"
quietly() { "$@" >>"$log" 2>&1 || { tail -n 5 "$log" >&2; fail "'$1 …' failed; all of its output is in $log"; }; }
echo "environment in $target"
[ -x "$target/bin/python" ] || quietly "$PYTHON" -m venv "$target"
quietly "$target/bin/pip" install --no-deps -r "$here/requirements-d4rl-simulator.txt"

if [ ! -e "$target/mujoco210/bin/libmujoco210.so" ]; then
    echo "MuJoCo 2.1.0"
    quietly "$target/bin/pip" download --no-deps --ignore-requires-python --dest "$target/download" free-mujoco-py==2.1.6
    wheel="$(ls "$target"/download/free_mujoco_py-2.1.6-*.whl)"
    echo "$wheel_digest  $wheel" | sha256sum --check --status || fail "$wheel is not the file of that version (SHA-256 differs): delete it and run again"
    quietly "$target/bin/python" -m zipfile -e "$wheel" "$target/download"
    mv "$target/download/mujoco_py/binaries/linux/mujoco210" "$target/mujoco210"
    rm -r "$target/download"
fi

echo "compiling mujoco-py (1 to 3 minutes)"
export LD_LIBRARY_PATH="$target/mujoco210/bin" MUJOCO_PY_MUJOCO_PATH="$target/mujoco210" MUJOCO_PY_FORCE_CPU=1 PATH="$target/bin:$PATH"
quietly "$target/bin/python" -I -c "import mujoco_py"
quietly "$target/bin/python" -I "$here/ailot_ray/envs/d4rl/worker.py" --check
echo "ready: python -m ailot_ray evaluate --simulator d4rl …"
