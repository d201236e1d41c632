#!/usr/bin/env bash
# Makes the embedded map prior: trains on all atomic models but the families that held_out.csv names, then tests on those.
# Usage: run.sh DATA OUT    (about 50 minutes of one core; a run that was cut off goes on where it was)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=${1:?usage: run.sh DATA OUT} out=${2:?usage: run.sh DATA OUT}
cryoprior=${CRYOPRIOR:-cryoprior} python=${PYTHON:-python}
steps=${STEPS:-3200} threads=${THREADS:-1} precision=${PRECISION:-bf16}
note="Atomic models of 101 entries of the wwPDB, 96 of them to learn from: proteins, RNA, DNA and ribosomes, in random orientations at 1.5 to 6 A; families held out: chaperonins, proteasome and Ntn hydrolases, voltage-gated-like channels, MFS transporters, porins, ferritins, pyruvate kinases, TRAP, cobalamin riboswitches, VA RNA"

held=$(tail -n +2 "$here/held_out.csv" | cut -d, -f1 | paste -sd'|')
mapfile -t models < <(ls "$data"/structures/*.gz "$data"/structures/many/*.gz | grep -vE "/($held)[._][^/]*$")
resume=()
[ -f "$out/prior/checkpoint.safetensors" ] && resume=(--resume)
[ -f "$out/prior/model.safetensors" ] || "$cryoprior" train-map "${models[@]}" -o "$out/prior" --steps "$steps" --every 200 \
  --precision "$precision" --threads "$threads" --half --versions 4 --description "$note" "${resume[@]}"
"$python" "$here/evaluate.py" "$data/structures" "$out/prior" "$here/held_out.csv" "$out/held_out.csv"
