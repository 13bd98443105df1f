#!/usr/bin/env bash
# Every command end to end on the smoke preset, in a folder that is removed afterwards; Go and Re:Frame at
# once, for most commands use one core. Stops where one does not exit as it should, and shows what it printed.
set -euo pipefail

folder=$(mktemp -d)
trap 'kill $(jobs -pr) 2>/dev/null || true; rm -rf "$folder"' EXIT
export RRL_RUNS="$folder/runs" RRL_CELLS="$folder/cells" MINARI_DATASETS_PATH="$folder/minari" NO_COLOR=1
smoke=(--task hopper-medium --preset smoke)
last="$folder/last"

# expect CODE COMMAND...: runs it; its output is kept in $last.out and $last.err.
expect() {
  local expected=$1 began=$SECONDS code=0
  shift
  "$@" >"$last.out" 2>"$last.err" </dev/null || code=$?
  if [ "$code" != "$expected" ]; then
    echo "FAILED: $* exited $code, expected $expected" >&2
    cat "$last.out" "$last.err" >&2
    exit 1
  fi
  printf '%4ds  exit %s  %s\n' "$((SECONDS - began))" "$code" "$*"
}

# says TEXT: the last command printed it, on stdout or stderr.
says() {
  grep -qiF -- "$1" "$last.out" "$last.err" && return
  echo "FAILED: the last command did not say: $1" >&2
  cat "$last.out" "$last.err" >&2
  exit 1
}

# a_policy GLOB: the one finished training of that name.
a_policy() { echo "$RRL_RUNS"/train-policy/$1-????????; }

keys_of_ones_own() {
  python - "$folder" <<'END'
import sys
import numpy as np
keys = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)
np.save(f"{sys.argv[1]}/keys.npy", keys)
END
  expect 2 rrl build-index
  expect 0 rrl build-index --keys "$folder/keys.npy" --out "$folder/index" --index scann
  says "recall_at_10"
  expect 0 rrl build-index --keys "$folder/keys.npy" --add "$folder/index" --out "$folder/grown"
  expect 0 rrl verify "$folder/grown"
}

go() {
  local last="$folder/go" grown policy
  expect 0 rrl build-index --task go9 --preset smoke
  says "neighbor_move_agreement"
  expect 0 rrl neighbors --task go9 --preset smoke --row 0 --out "$folder/picture.svg"
  says "neighbor 4"
  expect 2 rrl neighbors --task go9 --preset smoke
  echo '(;GM[1]SZ[9]KM[7]RE[B+R];B[ee];W[cc];B[ab];W[gg];B[ha])' >"$folder/mine.sgf"
  expect 0 rrl build-index --task go9 --preset smoke --add "$folder/mine.sgf"
  says "positions_added"
  grown=$(head -n 1 "$last.out")
  expect 5 rrl build-index --task go9 --preset smoke --add "$folder/mine.sgf" --to "$grown"
  says "already in the retrieval set"
  expect 0 rrl train-policy --task go9 --preset smoke
  expect 0 rrl train-policy --task go9 --preset smoke --arm baseline
  expect 0 rrl evaluate --task go9 --preset smoke
  says "top1_less_no_neighbors"
  expect 0 rrl evaluate --task go9 --preset smoke --index "$grown"
  policy=$(a_policy go9/retrieval-smoke-s0)
  expect 0 rrl evaluate "$policy" --opponent "python benchmarks/fake_engine.py" --games 2 --simulations 8
  says "distinct_games"
  expect 3 rrl evaluate "$policy" --opponent "no-such-engine"
  expect 0 rrl gtp "$policy" --simulations 8
  expect 5 rrl neighbors --task go9 --preset smoke --seed 1 --row 0
  says "rrl build-index --task go9"
}

reframe() {
  local last="$folder/reframe"
  expect 0 rrl data make rrl/hopper/medium-short-v0
  expect 0 rrl data list
  says "rrl/hopper/medium-short-v0"
  expect 0 rrl data stats rrl/hopper/medium-short-v0
  expect 5 rrl evaluate "${smoke[@]}"
  expect 0 rrl train-amb "${smoke[@]}"
  expect 0 rrl train-policy "${smoke[@]}" --arm reframe
  expect 0 rrl train-policy "${smoke[@]}" --arm backbone
  expect 0 rrl train-policy "${smoke[@]}" --arm backbone
  expect 0 rrl evaluate "${smoke[@]}"
  expect 0 rrl show "$(a_policy hopper-medium/reframe-smoke-s0)"
  expect 0 rrl compare "$(a_policy hopper-medium/reframe-smoke-s0)" "$(a_policy hopper-medium/backbone-smoke-s0)"
  says "evaluation episodes only"
  expect 0 rrl ablate memory-size "${smoke[@]}" --jobs 2
  expect 0 rrl ablate memory-size "${smoke[@]}" --dry-run
  says " 0 to do;"
}

expect 0 rrl --help
expect 0 rrl doctor
keys_of_ones_own
go &
going=$!
reframe
wait "$going"
expect 0 rrl report memory-size-smoke-hopper-medium "$(a_policy go9/retrieval-smoke-s0)" --out "$folder/report"
says "report.html"
expect 5 rrl report nonsense
expect 0 rrl list
expect 0 rrl list runs --where arm=reframe --json
expect 0 rrl verify "$RRL_RUNS"
echo "smoke: every command did what it should, in ${SECONDS}s"
