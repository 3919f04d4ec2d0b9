"""Calls the functions f0, f1, … of FOLDER/calls.py with the inputs i.0, i.1, … of each, many in one compiled program."""

import pathlib
import sys

import arrays
import jax

folder = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(folder))
import exported  # noqa: E402

TOGETHER = 100

inputs = arrays.read(folder / "inputs")
given = {}
for name, array in inputs.items():
    given.setdefault(int(name.split(".")[0]), []).append(array)
functions = [getattr(exported, f"f{i}") for i in range(exported.COUNT)]
outputs = {}
for first in range(0, len(functions), TOGETHER):
    some = functions[first : first + TOGETHER]
    arguments = [given.get(first + i, []) for i in range(len(some))]
    results = jax.jit(lambda arguments: [f(*own) for f, own in zip(some, arguments)])(arguments)
    for i, own in enumerate(results):
        for k, result in enumerate(own):
            outputs[f"{first + i}.{k}"] = result
arrays.write(folder / "outputs", outputs)
