#!/usr/bin/env bash
# Runs all benchmarks one after another; what was computed before is not computed again.
# Usage: run.sh [OUT]     with `python` of the environment on PATH, as `make bench` has it.
# CRYOPRIOR_SHARED_DATA: folder with real/, structures/ and meta/ (default: ../shared/data beside the repository).
# PRIOR and AWARE (default: the embedded ones), THREADS, LIMIT for a quick look. DTYPE of the network for the scores; times are
# measured in float32, which is what `cryoprior reconstruct` does unless told otherwise. left_out.py is not run: it wants
# two priors that were trained for it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
data=${CRYOPRIOR_SHARED_DATA:-../shared/data} out=${1:-benchmarks/results}
shared=(--data "$data" --prior "${PRIOR:-default}" --out "$out" --threads "${THREADS:-1}")
[ -z "${LIMIT:-}" ] || shared+=(--limit "$LIMIT")
[ -d "$data" ] || { echo "run.sh: no data in $data; set CRYOPRIOR_SHARED_DATA" >&2; exit 2; }
export OMP_NUM_THREADS=${THREADS:-1}

for script in simulated_particles real_particles; do
  echo "== $script" >&2
  python "benchmarks/$script.py" "${shared[@]}" --dtype "${DTYPE:-bfloat16}"
done
echo "== speed, own_work" >&2
python benchmarks/speed.py "${shared[@]}" --dtype float32
python benchmarks/own_work.py "${shared[@]}"
aware=(--data "$data" --prior "${AWARE:-operator-aware}" --out "$out" --threads "${THREADS:-1}")
[ -z "${LIMIT:-}" ] || aware+=(--limit "$LIMIT")
echo "== one_evaluation, samples" >&2
python benchmarks/one_evaluation.py "${aware[@]}" --rival-prior "${PRIOR:-default}"
python benchmarks/samples.py "${aware[@]}"
echo "== measured_prior" >&2
[ -n "${LIMIT:-}" ] || python benchmarks/measured_prior.py --data "$data" --out "$out" --threads "${THREADS:-1}"
[ -n "${LIMIT:-}" ] || python benchmarks/gaussian_oracle.py --draws 4000 --images 3
echo "== backprojection, resize_control" >&2
[ -n "${LIMIT:-}" ] || python benchmarks/backprojection.py
[ -n "${LIMIT:-}" ] || python benchmarks/resize_control.py --data "$data" --out "$out" --threads "${THREADS:-1}"
echo "== table3, unseen_map" >&2
export CRYOPRIOR_SHARED_DATA=$(cd "$data" && pwd)
[ -n "${LIMIT:-}" ] || cryoprior bench benchmarks/table3.toml -o "$out/../work/table3" --threads "${THREADS:-1}"
[ -n "${LIMIT:-}" ] || cryoprior bench benchmarks/unseen_map.toml -o "$out/../work/unseen_map" --threads "${THREADS:-1}"
echo "== peers" >&2
if [ -z "${LIMIT:-}" ]; then
  for peers in peers_simulated peers_real; do
    cryoprior bench "benchmarks/$peers.toml" -o "$out/../work/$peers" --threads "${THREADS:-1}" --batch 16
  done
  python benchmarks/equal_power.py benchmarks/peers_simulated.toml "$out/../work/peers_simulated" --out "$out"
fi
echo "== published, heterogeneity, pkm2_map" >&2
if [ -n "${LIMIT:-}" ] || ! command -v cryodrgn >/dev/null; then
  echo "run.sh: published and heterogeneity are left out; they take no LIMIT, and want pip install 'cryoprior[heterogeneity]'" >&2
else
  python benchmarks/published.py --data "$data" --out "$out"
  python benchmarks/heterogeneity.py --data "$data" --out "$out" --threads "${THREADS:-1}"
fi
[ -n "${LIMIT:-}" ] || cryoprior bench benchmarks/pkm2_map.toml -o "$out/../work/pkm2_map" --threads "${THREADS:-1}"
echo "results: $out"
