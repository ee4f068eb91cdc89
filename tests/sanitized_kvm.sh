#!/bin/sh
# sanitized_kvm.sh BUILD [FILE...]: the integration tests on the kvm engine (tests/integration/test_FILE.py, all if none is
# named) with programs and library that are built with ASan and UBSan. By hand: it takes most of an hour. BUILD is a
# build folder of this tree whose tests have run (environments, the nested host's files); the sanitized build is BUILD/asan-kvm.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
shift
sanitized=$build/asan-kvm
# -O1: an emulated processor runs it. GCC then takes members of std::optional for uninitialized.
[ -f "$sanitized/build.ninja" ] || cmake -S "$here/.." -B "$sanitized" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
  "-DCMAKE_CXX_FLAGS_DEBUG=-O1 -g1 -Wno-error=maybe-uninitialized" -DPYRO_SANITIZE=address,undefined \
  -DPYRO_EXAMPLES=OFF -DPYRO_INSTALL=OFF -DCMAKE_UNITY_BUILD=ON
cmake --build "$sanitized" --target programs libpyro.so pyro

export PYRO_HOME="$build/test-home" PYRO_LIBEXEC='' PYRO_TEST_BINARY_DIR="$build" PYRO_TEST_SANITIZED=1
export PYRO_BIN="$sanitized/bin/pyro" PYRO_LIBRARY="$sanitized/lib/libpyro.so" LD_LIBRARY_PATH="$sanitized/lib"
export PYTHONPATH="$here/../bindings/python" PYTHONDONTWRITEBYTECODE=1 PATH="$sanitized/bin:$PATH"
# LeakSanitizer would need ptrace.
export ASAN_OPTIONS=detect_leaks=0:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
# Python is not built with ASan, and loads the library, which is.
runtime=$(readlink -f "$(c++ -print-file-name=libasan.so)")
[ -f "$runtime" ] || { echo "no libasan.so of $(c++ --version | head -1)" >&2; exit 1; }
# shellcheck disable=SC2046 # names are words
[ $# -gt 0 ] || set -- $(cd "$here/integration" && printf '%s\n' test_*.py | sed 's/^test_//; s/\.py$//')
failed=
for name; do
  python3 "$here/kvm-host/run" --build "$build" --timeout 3600 --attempts 3 --env LD_PRELOAD="$runtime" --verbose -- \
    python3 "$here/kvm-host/suite.py" --check-host --timeout 3000 --engine kvm "$here/integration/test_$name.py" || failed="$failed $name"
done
[ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
