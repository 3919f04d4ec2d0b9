"""Trains with the modules step_NAME of FOLDER, each for as many steps as there are batches; then one of them on several devices."""

import importlib
import json
import pathlib
import re
import sys
import warnings

import arrays
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

warnings.filterwarnings("ignore", message="Some donated buffers")
folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder))
plan = json.loads((folder / "plan.json").read_text())
inputs = arrays.read(folder / "inputs")
outputs, collectives = {}, {}
COLLECTIVE = re.compile(r" = .* (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(-start)?\(")


def named(prefix):
    return {name.removeprefix(prefix): array for name, array in inputs.items() if name.startswith(prefix)}


def losses(name, module, count, place=lambda array: array, step=None):
    """The losses of `count` steps, and the state after them."""
    advance = step or module.train_step
    state, found = named(f"{name}/state/"), []
    for k in range(count):
        batch = {key: place(array[k]) for key, array in named(f"{name}/batches/").items()}
        state, metrics = advance(state, batch, np.int32(k), *inputs[f"{name}/numbers"][k])
        found.append(metrics["loss"])
    return np.array(found, np.float32), state


for name in plan["methods"]:
    module = importlib.import_module(f"step_{name.replace('-', '_')}")
    outputs[f"{name}/losses"], state = losses(name, module, plan["steps"])
    assert {key: (array.dtype.name, array.shape) for key, array in state.items()} == module.STATE

name = plan["divided"]
module = importlib.import_module(f"step_{name.replace('-', '_')}")
for count in plan["devices"]:
    mesh = Mesh(np.array(jax.devices()[:count]), ("batch",))
    divided, everywhere = NamedSharding(mesh, PartitionSpec("batch")), NamedSharding(mesh, PartitionSpec())
    step = jax.jit(module.train_step.__wrapped__, in_shardings=(everywhere, divided, None, *(None for _ in module.SCHEDULES)), out_shardings=everywhere)
    state, batch = named(f"{name}/state/"), {key: array[0] for key, array in named(f"{name}/batches/").items()}
    compiled = step.lower(state, batch, np.int32(0), *inputs[f"{name}/numbers"][0]).compile()
    collectives[count] = [line.strip() for line in compiled.as_text().splitlines() if COLLECTIVE.search(line)]
    outputs[f"devices/{count}"], _ = losses(name, module, plan["dividedSteps"], step=compiled)

loss = importlib.import_module("loss")
za, zb = inputs["za"], inputs["zb"]
parts = np.split(za, 8), np.split(zb, 8)
outputs["whole"] = jax.jit(loss.whole)(za, zb)
outputs["parts"] = jnp.mean(jnp.stack([jax.jit(loss.part)(a, b) for a, b in zip(*parts)]))
arrays.write(folder / "outputs", outputs)

print(json.dumps(collectives))
