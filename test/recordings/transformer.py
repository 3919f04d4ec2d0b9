"""Attention, and a whole vision transformer, by PyTorch's own nn.MultiheadAttention and nn.TransformerEncoderLayer. See README.md."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from recorder import f32, family, rng


def attention(q, k, v):
    return torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), -1) @ v


def positions(rows, columns, width):
    """[rows·columns, width]: sin and cos of the row, then of the column, at width/4 frequencies 10000^(−4i/width)."""
    rate = 10000.0 ** (-np.arange(width // 4) / (width // 4))
    row, column = np.meshgrid(np.arange(rows), np.arange(columns), indexing='ij')
    parts = [wave(place.reshape(-1, 1) * rate) for place in (row, column) for wave in (np.sin, np.cos)]
    return np.concatenate(parts, 1)


# Of a block, in timm's names and order: what stands for each in nn.TransformerEncoderLayer.
BLOCK = [('norm1.weight', 'norm1.weight'), ('norm1.bias', 'norm1.bias'), ('attn.qkv.weight', 'self_attn.in_proj_weight'), ('attn.qkv.bias', 'self_attn.in_proj_bias'),
         ('attn.proj.weight', 'self_attn.out_proj.weight'), ('attn.proj.bias', 'self_attn.out_proj.bias'), ('norm2.weight', 'norm2.weight'), ('norm2.bias', 'norm2.bias'),
         ('mlp.fc1.weight', 'linear1.weight'), ('mlp.fc1.bias', 'linear1.bias'), ('mlp.fc2.weight', 'linear2.weight'), ('mlp.fc2.bias', 'linear2.bias')]


def block(x, heads, parameters):
    layer = nn.TransformerEncoderLayer(x.shape[-1], heads, 4 * x.shape[-1], dropout=0.0, activation='gelu', layer_norm_eps=1e-6, batch_first=True, norm_first=True)
    layer = layer.to(x.dtype).train()                                      # in evaluation PyTorch takes another path
    values = {theirs: value for (_, theirs), value in zip(BLOCK, parameters)}
    return torch.nn.utils.stateless.functional_call(layer, values, (x,))


@family
def transformer(f):
    for label, q, k, v in (('one head', (5, 4), (5, 4), (5, 4)), ('across', (2, 3, 4, 6), (2, 3, 7, 6), (2, 3, 7, 5)), ('one token', (3, 1, 2), (3, 1, 2), (3, 1, 2))):
        f.add('scaledDotProductAttention', label, attention, [q, k, v], names=['query', 'key', 'value'])
    f.add('scaledDotProductAttention', 'large scores', attention, [3 * rng('large q').standard_normal((4, 8)), 3 * rng('large k').standard_normal((6, 8)), (6, 3)],
          names=['query', 'key', 'value'])

    width, heads, depth, patch, channels = 8, 2, 2, 4, 2
    sizes = {'norm': (width,), 'qkv.weight': (3 * width, width), 'qkv.bias': (3 * width,), 'proj.weight': (width, width), 'fc1.weight': (4 * width, width), 'fc1.bias': (4 * width,),
             'fc2.weight': (width, 4 * width)}
    shape_of = lambda name: next((shape for part, shape in sizes.items() if part in name), (width,))
    names = ['patch_embed.proj.weight', 'patch_embed.proj.bias'] + ['blocks.%d.%s' % (i, ours) for i in range(depth) for ours, _ in BLOCK] + ['norm.weight', 'norm.bias']
    shapes = [(width, channels, patch, patch), (width,)] + [shape_of(ours) for _ in range(depth) for ours, _ in BLOCK] + [(width,), (width,)]

    def network(x, *p):
        y = F.conv2d(x, p[0], p[1], stride=patch)
        rows, columns = y.shape[2:]
        y = y.flatten(2).transpose(1, 2) + torch.tensor(positions(rows, columns, width), dtype=x.dtype)
        for i in range(depth):
            y = block(y, heads, p[2 + i * len(BLOCK):2 + (i + 1) * len(BLOCK)])
        y = F.layer_norm(y, (width,), p[-2], p[-1], 1e-6)
        return y.transpose(1, 2).reshape(len(x), width, rows, columns), y.mean(1)

    for label, shape in (('square', (2, channels, 8, 8)), ('wide', (3, channels, 4, 12))):
        draw = rng('transformer weights ' + label)
        weights = [0.3 * draw.standard_normal(s) + (1.0 if name.endswith(('norm.weight', 'norm1.weight', 'norm2.weight')) else 0.0) for name, s in zip(names, shapes)]
        f.add('visionTransformer', label, network, [shape] + weights, {'width': width, 'heads': heads, 'depth': depth}, names=['x'] + names, outputs=['featureMap', 'features'])
