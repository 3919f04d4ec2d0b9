#!/usr/bin/env bash
# An epoch of the reference recipe on the embedded images, here and exported to JAX, from the same initial weights: the accuracies of both.
#
#   npm run build && TENSEGRITY_JAX=venv/bin/python scripts/jax.sh [DEVICES]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
python=$(realpath -s "${TENSEGRITY_JAX:?name a Python that has JAX: python3 -m venv venv && venv/bin/pip install -r export/jax/files/requirements.txt}")
place=$(mktemp -d /tmp/tensegrity-jax-XXXXXX)
trap 'rm -rf "$place"' EXIT
tensegrity() { "$root/node_modules/.bin/node" "$root/dist/cli/main.js" "$@"; }
recipe=(--recipe reference --epochs 1 --no-eval --quiet)

tensegrity train "${recipe[@]}" --out "$place/here"
# Killed in its first steps, before its first checkpoint: what is exported is the beginning.
"$root/node_modules/.bin/node" "$root/dist/cli/main.js" train "${recipe[@]}" --out "$place/begun" & begun=$!
while [ ! -e "$place/begun/config.json" ]; do sleep 0.1; done
kill -9 "$begun"
wait "$begun" || true
tensegrity export "$place/begun" --to jax --out "$place/there"
XLA_FLAGS=--xla_force_host_platform_device_count=${1:-2} "$python" "$place/there/train.py" --show-every 20
for run in here there; do tensegrity eval --run "$place/$run" --json >"$place/$run.json"; done
"$python" - "$place" <<'END'
import json, sys
scores = {run: json.load(open(f"{sys.argv[1]}/{run}.json"))["encoder"] for run in ("here", "there")}
for name in ("linear", "linear2x2", "nearest"):
    here, there = (100 * scores[run][name] for run in ("here", "there"))
    print(f"{name:10} here {here:.2f}%, by JAX {there:.2f}%")
    assert abs(here - there) <= 1, name
END
