#!/usr/bin/env bash
# Makes the embedded priors: simulates their training set, trains at 64 pixels, then at 64 and 128 together; then goes on
# from there on random measurements, at 64 pixels and at both.
# Usage: run.sh DATA OUT    (about 2 GB and several core-hours; a run that was cut off goes on where it was)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=${1:?usage: run.sh DATA OUT} out=${2:?usage: run.sh DATA OUT}
cryoprior=${CRYOPRIOR:-cryoprior}
steps_64=${STEPS_64:-5000} steps_both=${STEPS_BOTH:-5000} threads=${THREADS:-1}
aware_64=${AWARE_64:-2000} aware_both=${AWARE_BOTH:-800}
note="Simulated projections of 50S, 30S and 70S ribosomes (4v5d), apoferritin, GroEL, TRPV1, Rubisco, p97 and PKM2"

train() { # folder steps rate options stacks... ; resumes where a checkpoint stands
  local folder=$1 steps=$2 rate=$3 extra=()
  read -ra extra <<< "$4"
  shift 4
  local clean=()
  for stack in "$@"; do clean+=(--clean "${stack%particles.star}clean.star"); done
  [ -f "$folder/model.safetensors" ] && return
  [ -f "$folder/checkpoint.json" ] && extra+=(--resume)
  [ -n "${PRECISION:-}" ] && extra+=(--precision "$PRECISION")   # bf16 pays on processors that have it
  "$cryoprior" train "$@" "${clean[@]}" -o "$folder" --steps "$steps" --learning-rate "$rate" --threads "$threads" \
    --half --every 250 --description "$note" "${extra[@]}"
}

"$here/simulate.sh" "$data" "$out/64" 64
train "$out/prior-64" "$steps_64" 6e-4 "" "$out"/64/*/particles.star
"$here/simulate.sh" "$data" "$out/128" 128
both=("$out"/64/*/particles.star "$out"/128/*/particles.star)
train "$out/prior" "$steps_both" 3e-4 "--init $out/prior-64" "${both[@]}"
train "$out/aware-64" "$aware_64" 4e-4 "--operator-aware --seed 1 --init $out/prior" "$out"/64/*/particles.star
train "$out/aware" "$aware_both" 2e-4 "--operator-aware --seed 2 --init $out/aware-64" "${both[@]}"
