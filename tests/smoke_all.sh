#!/usr/bin/env bash
# Every study of experiments/ablations on the smoke preset, in a folder that is removed afterwards; or
# those that are named. Their cells share data, memories and indexes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export RRL_RUNS="$folder/runs" RRL_CELLS="$folder/cells" MINARI_DATASETS_PATH="$folder/minari" NO_COLOR=1

if [ $# = 0 ]; then
  for study in experiments/ablations/*.toml; do
    set -- "$@" "$(basename "$study" .toml)"
  done
fi
for study in "$@"; do
  began=$SECONDS
  if ! rrl ablate "$study" --preset smoke -q >"$folder/out" 2>&1; then
    echo "FAILED: rrl ablate $study --preset smoke" >&2
    cat "$folder/out" >&2
    exit 1
  fi
  rrl ablate "$study" --preset smoke --dry-run >"$folder/out"
  grep -q " 0 to do;" "$folder/out"
  printf '%4ds  %s\n' "$((SECONDS - began))" "$study"
done
echo "smoke-all: every study ran, in ${SECONDS}s"
