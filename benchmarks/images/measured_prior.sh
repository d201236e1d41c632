#!/usr/bin/env bash
# A prior that never saw a full image, against one that did: three priors of one size and length, each from nothing, from
# full noisy particles, from Fourier coefficients at C = 2 and from Hadamard sums at C = 2; no clean image is used.
# measured_prior.toml judges them on held-out particles measured in either way. What is there already is not made again.
# Usage: measured_prior.sh WORK [STEPS] [TRAINING PARTICLES] [HELD-OUT PARTICLES]    with `cryoprior` on PATH.
# CRYOPRIOR_SHARED_DATA: folder with real/, structures/ and meta/. THREADS: of the processor, 1 by default.
set -euo pipefail
work=$1 steps=${2:-800} training=${3:-8000} held=${4:-256} threads=${THREADS:-1}
data=${CRYOPRIOR_SHARED_DATA:?folder with real/, structures/ and meta/}
here=$(cd "$(dirname "$0")" && pwd)
once() { [ -f "$1/summary.json" ] || "${@:2}"; }

for set in "train $training 501" "held $held 502"; do
  read -r name n seed <<< "$set"
  once "$work/$name" cryoprior simulate "$data/structures/4v5d.cif.gz" -o "$work/$name" --n "$n" --box 32 --pixel-size 10 \
    --snr 0.26 --ctf "$data/meta/empiar_10028_ctf_sample.csv" --noise-like "$data/real/empiar_10076_7.star" \
    --keep-chains 'B*' --leave-out BC,BG,BH --leave-out BB,BF,BS,BZ --leave-out B1,B2,BN,BU --seed "$seed"
done
fourier=fourier:pattern=uniform,compression=2,sets=256 hadamard=pixel:block=8,masks=32,rows=hadamard,sets=256
for name in fourier hadamard; do
  once "$work/$name.zarr" cryoprior measure "$work/train/particles.star" -o "$work/$name.zarr" --operator "${!name}" --seed 0
done
learn() { # NAME SOURCE [OPTION...]; half the channels of the small preset: images of 32 pixels need no more
  [ -f "$work/$1/model.safetensors" ] || cryoprior train "$2" -o "$work/$1" --steps "$steps" --threads "$threads" --width 0.5 \
    --every 250 --cpu "${@:3}"
}
learn full "$work/train/particles.star" --operator-aware
learn from-fourier "$work/fourier.zarr"
learn from-hadamard "$work/hadamard.zarr"
CRYOPRIOR_WORK=$(cd "$work" && pwd) cryoprior bench "$here/measured_prior.toml" -o "$work/judged" --threads "$threads"
