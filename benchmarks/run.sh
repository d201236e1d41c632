#!/usr/bin/env bash
# Runs all benchmarks one after another; what a plan has computed before is not computed again.
# Usage: run.sh [WORK]     with `python` and `cryoprior` of the environment on PATH, as `make bench` has it. WORK: folder of all
# steps, benchmarks/work by default; every plan leaves its report in a folder of its name there.
# CRYOPRIOR_SHARED_DATA: folder with real/, structures/ and meta/ (default: ../shared/data beside the repository). THREADS: of
# the processor. QUICK=1: a few cells and particles of the tables of images, and nothing else.
# Not run: left_out.toml, which wants two priors trained for it, and reproduce_10076.toml, which wants the paper's data.
set -euo pipefail
cd "$(dirname "$0")/.."
work=${1:-benchmarks/work} data=${CRYOPRIOR_SHARED_DATA:-../shared/data} threads=${THREADS:-1}
[ -d "$data" ] || { echo "run.sh: no data in $data; set CRYOPRIOR_SHARED_DATA" >&2; exit 2; }
CRYOPRIOR_SHARED_DATA=$(cd "$data" && pwd)
export CRYOPRIOR_SHARED_DATA OMP_NUM_THREADS=$threads
quick=()
[ -z "${QUICK:-}" ] || quick=(--cells "K=16 C=10.2, uniform C=10" --particles 2)

bench() { # PLAN [OPTION...]
  local name=${1##*/}
  echo "== ${name%.toml}" >&2
  cryoprior bench "benchmarks/$1" -o "$work/${name%.toml}" --threads "$threads" --batch 16 "${@:2}"
}
for plan in simulated_particles unseen_particles real_particles real_astex one_evaluation; do
  bench "images/$plan.toml" "${quick[@]}"
done
[ -z "${QUICK:-}" ] || exit 0
for plan in simulated_128 samples peers_simulated peers_real; do bench "images/$plan.toml"; done
for plan in nesterov_tuning speed; do bench "cost/$plan.toml" --batch 8; done
for plan in table3 unseen_map pkm2_map; do bench "maps/$plan.toml"; done
THREADS=$threads benchmarks/images/measured_prior.sh "$work/measured_prior"
python -m benchmarks.images.equal_power benchmarks/images/peers_simulated.toml "$work/peers_simulated"
python -m benchmarks.images.gaussian_oracle --images 3
python -m benchmarks.cost.own_work --threads "$threads"
python -m benchmarks.maps.resize_control --threads "$threads"
python -m benchmarks.maps.referee --threads "$threads"
python -m benchmarks.maps.map_prior --threads "$threads"
python -m benchmarks.maps.map_prior_noise --threads "$threads"
python -m benchmarks.maps.deviation --threads "$threads"
python -m benchmarks.maps.harm --threads "$threads"
python -m benchmarks.cost.map_prior --threads "$threads"
python -m benchmarks.maps.what_to_keep --threads "$threads"
python -m benchmarks.maps.dose --threads "$threads"
python -m benchmarks.images.rounding_likelihood --threads "$threads"
if command -v relion_reconstruct >/dev/null; then
  python -m benchmarks.cost.backprojection
  for script in relion_cases views_and_numbers ribosome_tilts relion_refinement; do
    python -m "benchmarks.maps.$script" --threads "$threads"
  done
else
  echo "run.sh: backprojection, relion_cases, views_and_numbers, ribosome_tilts, relion_refinement are left out; they want RELION" >&2
fi
if command -v cryodrgn >/dev/null; then
  python -m benchmarks.biology.published
  python -m benchmarks.biology.heterogeneity --threads "$threads"
else
  echo "run.sh: published and heterogeneity are left out; they want pip install 'cryoprior[heterogeneity]'" >&2
fi
