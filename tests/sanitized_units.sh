#!/bin/sh
# sanitized_units.sh SOURCE BUILD SANITIZERS [ROOM...]: builds the unit tests with sanitizers and runs them.
set -eu
source=$1 build=$2 sanitizers=$3
shift 3
[ -f "$build/build.ninja" ] || cmake -S "$source" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Debug \
  -DCMAKE_CXX_FLAGS_DEBUG=-g1 -DPYRO_SANITIZE="$sanitizers" -DPYRO_EXAMPLES=OFF -DPYRO_INSTALL=OFF \
  -DCMAKE_UNITY_BUILD=ON  # less than half the work; so names in a room's unnamed namespaces are unique there
targets=unit_tests tests=.
if [ $# -gt 0 ]; then
  targets=$(printf 'unit_%s ' "$@")
  tests=$(printf '^unit\.%s$|' "$@")
  tests=${tests%|}
fi
# shellcheck disable=SC2086 # names of targets
cmake --build "$build" --target $targets
exec ctest --test-dir "$build" --output-on-failure -L unit -R "$tests"
