"""What every family of recordings shares: the file format, formulas that TypeScript repeats, and how a case is recorded."""
import json
import math
import os
import struct
import sys
import warnings
import zlib

for variable in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS', 'MKL_NUM_THREADS'):
    os.environ[variable] = '1'

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
warnings.filterwarnings('ignore')
HERE = os.path.dirname(os.path.abspath(__file__))
FAMILIES = {}


# ---------------------------------------------------------------------------------------------------------------- the file format

def write_safetensors(path, tensors, metadata):
    """tensors: name → numpy array; float64 → F64, float32 → F32, int32 → I32. Wide types first, so that all data is aligned."""
    names = {'float64': 'F64', 'float32': 'F32', 'int32': 'I32'}
    header, blobs, offset = {'__metadata__': metadata}, [], 0
    for name, value in sorted(tensors.items(), key=lambda item: -item[1].dtype.itemsize):  # stable: call order within a width
        data = np.ascontiguousarray(value).tobytes()
        header[name] = {'dtype': names[value.dtype.name], 'shape': list(value.shape), 'data_offsets': [offset, offset + len(data)]}
        blobs.append(data)
        offset += len(data)
    text = json.dumps(header, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + b''.join(blobs))


# ------------------------------------------------------------------------------------------------------- formulas shared with TypeScript

def uniform(stream, count):
    """u[i] in [0, 1), i < count: MurmurHash3's finaliser over i + stream·0x9e3779b9 (mod 2³²), ÷ 2³². recordings.ts has the same."""
    h = np.arange(count, dtype=np.uint64) + np.uint64((stream * 0x9E3779B9) & 0xFFFFFFFF) & np.uint64(0xFFFFFFFF)
    h = h.astype(np.uint32)
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return h.astype(np.float64) / 4294967296.0


def signed(stream, shape):
    return (2.0 * uniform(stream, int(np.prod(shape))) - 1.0).reshape(shape)


def f32(x):
    """Rounds to float32 and back, so that every backend sees the same number."""
    return np.asarray(x, dtype=np.float64).astype(np.float32).astype(np.float64)


# ------------------------------------------------------------------------------------------------------------------ recording a case

def error(value, reference):
    """max|a−b| / max|b|, over the finite entries."""
    a, b = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    keep = np.isfinite(a) & np.isfinite(b)
    if not keep.any():
        return 0.0
    scale = np.abs(b[keep]).max()
    worst = np.abs(a[keep] - b[keep]).max()
    return float('%.1e' % (worst / scale if scale > 0 else worst))


class Family:
    def __init__(self, name):
        self.name, self.cases, self.tensors, self.metadata = name, [], {}, {}

    def put(self, name, value):
        if isinstance(value, torch.Tensor):
            value = value.detach().numpy()
        value = np.asarray(value)
        value = value.astype(np.float64 if value.dtype.kind == 'f' else np.int32)
        assert name not in self.tensors, name
        self.tensors[name] = value
        return name

    def add(self, op, label, fn, inputs, attributes=None, gradients=True, outputs=None, names=None, symmetric=False, unit=False, **flags):
        """Runs fn(*inputs) in float64 (and once in float32, to note what PyTorch's own float32 loses) and stores inputs, outputs,
        a random cotangent for every differentiable output, and the gradient of every differentiable input.

        inputs:    shapes (drawn from N(0,1)), or arrays: float ones are rounded to float32, integer ones stay as they are
        gradients: True, False, or the list of inputs to differentiate
        outputs / names: names of the outputs / inputs, where their order alone says too little
        symmetric: the gradient is stored as (g+gᵀ)/2        unit: the first output's cotangent is 1, the others have none (losses)
        """
        name = op + '/' + label
        draw = rng(self.name + ':' + name)
        values = [f32(draw.standard_normal(x)) if isinstance(x, tuple) else (f32(x) if np.asarray(x).dtype.kind == 'f' else np.asarray(x)) for x in inputs]
        case = {'name': name, 'op': op, 'attributes': attributes or {}}
        case['inputs'] = [self.put('%s/input%d' % (name, k), v) for k, v in enumerate(values)]
        floating = [v.dtype.kind == 'f' for v in values]
        wanted = [bool(gradients) and f and (gradients is True or k in gradients) for k, f in enumerate(floating)]

        def run(dtype, cotangents):
            leaves = [torch.tensor(v, dtype=dtype).requires_grad_(w) if f else torch.tensor(v, dtype=torch.int64) for v, f, w in zip(values, floating, wanted)]
            result = fn(*leaves)
            result = list(result) if isinstance(result, (tuple, list)) else [result]
            if not any(wanted):
                return result, None, None
            if cotangents is None:
                cotangents = [None if not r.requires_grad else torch.ones(r.shape, dtype=dtype) if unit and k == 0 else None if unit
                              else torch.tensor(f32(draw.standard_normal(r.shape)), dtype=dtype) for k, r in enumerate(result)]
            pairs = [(r, c.to(dtype)) for r, c in zip(result, cotangents) if c is not None]
            leaf = [x for x, w in zip(leaves, wanted) if w]
            found = iter(torch.autograd.grad([r for r, _ in pairs], leaf, [c for _, c in pairs], allow_unused=True))
            grads = [None if not w else next(found) for w in wanted]
            grads = [torch.zeros_like(x) if w and g is None else g for x, w, g in zip(leaves, wanted, grads)]
            if symmetric:
                grads = [None if g is None else (g + g.transpose(-1, -2)) / 2 for g in grads]
            return result, cotangents, grads

        result, cotangents, grads = run(torch.float64, None)
        low, _, low_grads = run(torch.float32, cotangents)
        case['outputs'] = [self.put('%s/output%d' % (name, k), r) for k, r in enumerate(result)]
        note = {'outputs': [error(a.detach(), b.detach()) for a, b in zip(low, result)]}
        if grads is not None:
            case['cotangents'] = [None if c is None else self.put('%s/cotangent%d' % (name, k), c) for k, c in enumerate(cotangents)]
            case['gradients'] = [None if g is None else self.put('%s/gradient%d' % (name, k), g) for k, g in enumerate(grads)]
            note['gradients'] = [None if b is None else error(a, b) for a, b in zip(low_grads, grads)]
            for g in grads:
                assert g is None or flags.get('special') or torch.isfinite(g).all(), name
        if names:
            case['inputNames'] = names
        if outputs:
            case['outputNames'] = outputs
        case.update(flags)
        case['torchFloat32Error'] = note
        self.cases.append(case)
        return result

    def write(self):
        path = os.path.join(HERE, self.name + '.safetensors')
        metadata = {'format': 'tensegrity-recording-1', 'family': self.name, 'torch': torch.__version__}
        metadata.update(self.metadata)
        metadata['cases'] = json.dumps(self.cases, separators=(',', ':'))
        write_safetensors(path, self.tensors, metadata)
        worst = max(((e, c['name']) for c in self.cases for k in c.get('torchFloat32Error', {}).values() for e in k if e is not None), default=(0, '-'))
        print('%-12s %4d cases %8d bytes   worst float32 error of PyTorch itself: %.1e in %s' % (self.name, len(self.cases), os.path.getsize(path), *worst))


def rng(name):
    """Each case has its own generator, so that a new case changes no other."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def family(build):
    FAMILIES[build.__name__] = build
    return build


def positive(name, shape, low=0.2, high=3.0):
    return rng(name).uniform(low, high, shape)


def embeddings(name, kind, count=2, n=10, d=6):
    """`count` views of one batch of embeddings, of a kind that losses meet:
    ordinary        what an encoder that has learned something gives
    near-collapsed  all rows within a hundredth of one point
    offset          a mean five times the deviation
    n<d             fewer samples than dimensions
    duplicate rows  the batch holds every image twice
    """
    n, d = (n - 6, d + 3) if kind == 'n<d' else (n, d)
    draw = rng('embeddings %s %s' % (name, kind))
    z = draw.standard_normal((n, d))
    views = [z + 0.5 * draw.standard_normal((n, d)) for _ in range(count)]
    if kind == 'near-collapsed':
        point = draw.standard_normal(d)
        views = [point + 4e-3 * view for view in views]
    if kind == 'offset':
        views = [view + 5.0 * np.sign(draw.standard_normal(d)) for view in views]
    if kind == 'duplicate rows':
        views = [np.concatenate([view[: n // 2], view[: n // 2]]) for view in views]
    return views


KINDS = ('ordinary', 'near-collapsed', 'offset', 'n<d', 'duplicate rows')
