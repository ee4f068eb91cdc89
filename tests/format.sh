#!/bin/sh
# format.sh ROOT: whether all C++ is in the tree's format (capi/pyro.h keeps its tables by hand).
set -eu
cd "$1"
command -v clang-format >/dev/null || { echo "SKIPPED: clang-format is not installed"; exit 77; }
find src include tests examples -name '*.cpp' -o -name '*.hpp' -o -name '*.c' -o -name '*.h' |
  xargs clang-format --dry-run -Werror
