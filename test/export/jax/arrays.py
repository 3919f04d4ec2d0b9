"""Arrays in one file, and what they are in another: see python.ts."""

import json
import pathlib

import numpy as np

TYPES = {"f32": np.float32, "i32": np.int32, "u8": np.uint8}
NAMES = {np.dtype(dtype): name for name, dtype in TYPES.items()}


def read(path):
    entries = json.loads(pathlib.Path(f"{path}.json").read_text())
    data = pathlib.Path(f"{path}.bin").read_bytes()
    arrays, at = {}, 0
    for entry in entries:
        dtype, count = np.dtype(TYPES[entry["dtype"]]), int(np.prod(entry["shape"], dtype=np.int64))
        arrays[entry["name"]] = np.frombuffer(data, dtype, count, at).reshape(entry["shape"])
        at += count * dtype.itemsize
    return arrays


def write(path, arrays):
    arrays = {name: np.asarray(array) for name, array in arrays.items()}
    entries = [{"name": name, "dtype": NAMES[array.dtype], "shape": array.shape} for name, array in arrays.items()]
    pathlib.Path(f"{path}.json").write_text(json.dumps(entries))
    pathlib.Path(f"{path}.bin").write_bytes(b"".join(array.tobytes() for array in arrays.values()))
