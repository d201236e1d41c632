#!/usr/bin/env bash
# The training set of the embedded prior: clean and noisy projections of many assemblies and states.
# Usage: simulate.sh DATA OUT BOX    (DATA holds structures/, real/ and meta/; OUT gets one folder for each data set)
set -euo pipefail
data=$1 out=$2 box=$3
cryoprior=${CRYOPRIOR:-cryoprior}
scale=$((box / 64))   # at 128 pixels the pixel is half as wide: the same field of view, noise spread over more pixels
seed=100
s50=(--keep-chains 'B*' --leave-out BC,BG,BH --leave-out BB,BF,BS,BZ --leave-out B1,B2,BN,BU)
noise_ribosome=$data/real/empiar_10076_7.star
noise_crops=$data/real/astex_epu_crops.mrcs
mkdir -p "$out"

simulate() { # name structure pixel_size_at_64 snr_at_64 n_at_64 noise [options]
  local name=$1 structure=$2 pixel=$3 snr=$4 n=$5 noise=$6
  shift 6
  seed=$((seed + 1))
  [ -f "$out/$name/summary.json" ] && return
  local coloured=()
  [ "$noise" = white ] || coloured=(--noise-like "$noise")
  "$cryoprior" simulate "$data/structures/$structure" -o "$out/$name" --n $((n / scale)) --box "$box" \
    --pixel-size "$(awk "BEGIN{print $pixel / $scale}")" --snr "$(awk "BEGIN{print $snr / ($scale ^ 1.4)}")" \
    --ctf "$data/meta/empiar_10028_ctf_sample.csv" "${coloured[@]}" --seed "$seed" --overwrite "$@"
}

simulate 50s_near   4v5d.cif.gz            5.0  0.10 4000 "$noise_ribosome" "${s50[@]}"
simulate 50s_mid    4v5d.cif.gz            5.6  0.06 3000 "$noise_crops" "${s50[@]}"
simulate 50s_far    4v5d.cif.gz            6.55 0.15 3000 "$noise_ribosome" "${s50[@]}"
simulate 30s        4v5d.cif.gz            4.6  0.10 2000 white --keep-chains 'A*'
simulate 70s        4v5d.cif.gz            6.0  0.10 2000 "$noise_ribosome"
simulate apoferritin 6z6u_apoferritin.pdb.gz 3.0 0.10 2000 "$noise_crops"
simulate groel      1oel.pdb.gz            4.0  0.08 2000 "$noise_ribosome"
simulate trpv1      3j5p_TRPV1.pdb.gz      3.2  0.10 2000 white
simulate rubisco    1bxn.pdb.gz            3.2  0.12 2000 "$noise_ribosome"
simulate p97        3cf3.pdb.gz            4.2  0.10 2000 "$noise_crops"
simulate pkm2       pkm2_tetramer.pdb.gz   3.4  0.08 2000 "$noise_ribosome"
