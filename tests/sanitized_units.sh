#!/bin/sh
# sanitized_units.sh SOURCE BUILD SANITIZERS: builds the unit tests with sanitizers and runs them.
set -eu
[ -f "$2/build.ninja" ] || cmake -S "$1" -B "$2" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-g1 \
  -DPYRO_SANITIZE="$3" -DPYRO_EXAMPLES=OFF -DPYRO_INSTALL=OFF
ninja -C "$2" unit_tests
exec ctest --test-dir "$2" --output-on-failure -L unit
