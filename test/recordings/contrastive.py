"""Losses that tell the views of an image from other images, as their official code computes them. record.py finds this file."""
import torch
import torch.nn.functional as F

from recorder import KINDS, embeddings, family, rng


def l2_normalize(x):
    """tf.math.l2_normalize: 1e-12 is the least of the squared length."""
    return x * torch.rsqrt(torch.clamp((x * x).sum(1, keepdim=True), min=1e-12))


def nt_xent(za, zb, temperature, dialect):
    """google-research/simclr:objective.py, add_contrastive_loss: cross-entropies of [ab, aa − 1e9·I] and [ba, bb − 1e9·I], summed; the paper's mean is half."""
    a, b = l2_normalize(za), l2_normalize(zb)
    masked = 1e9 * torch.eye(len(a), dtype=a.dtype)
    labels = torch.arange(len(a))
    loss_a = F.cross_entropy(torch.cat([a @ b.T / temperature, a @ a.T / temperature - masked], 1), labels)
    loss_b = F.cross_entropy(torch.cat([b @ a.T / temperature, b @ b.T / temperature - masked], 1), labels)
    return (loss_a + loss_b) * {'google': 1.0, 'mean': 0.5}[dialect]


def info_nce(queries, keys, queue, temperature):
    """facebookresearch/moco:moco/builder.py, forward, and the cross-entropy with label 0 of main_moco.py; the queue holds normalised keys."""
    q, k, queue = F.normalize(queries, dim=1), F.normalize(keys.detach(), dim=1), F.normalize(queue.detach(), dim=1)
    positive = torch.einsum('nc,nc->n', [q, k]).unsqueeze(-1)
    negative = torch.einsum('nc,ck->nk', [q, queue.T])
    logits = torch.cat([positive, negative], 1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))


@family
def contrastive(f):
    for dialect in ('mean', 'google'):
        for temperature in (0.1, 0.5):
            for kind in KINDS if temperature == 0.5 else ('ordinary',):
                f.add('simclr', '%s %g %s' % (dialect, temperature, kind), lambda a, b: nt_xent(a, b, temperature, dialect), embeddings('simclr', kind),
                      {'temperature': temperature, 'dialect': dialect}, unit=True, names=['za', 'zb'], outputs=['loss'])
    za, zb = embeddings('simclr short rows', 'n<d')
    za[0], za[1] = 0.0, 1e-7 * za[1]
    f.add('simclr', 'google 0.5 short rows', lambda a, b: nt_xent(a, b, 0.5, 'google'), [za, zb], {'temperature': 0.5, 'dialect': 'google'}, unit=True, names=['za', 'zb'], outputs=['loss'])

    for temperature in (0.07, 0.2):
        for kind in KINDS if temperature == 0.2 else ('ordinary',):
            queries, keys = embeddings('moco', kind)
            queue = embeddings('moco queue', kind)[0] if kind == 'near-collapsed' else rng('moco queue').standard_normal((12, queries.shape[1]))
            f.add('moco', '%g %s' % (temperature, kind), lambda q, k, queue: info_nce(q, k, queue, temperature), [queries, keys, queue], {'temperature': temperature},
                  gradients=[0], unit=True, names=['queries', 'keys', 'queue'], outputs=['loss'])
    one = [rng('moco one').standard_normal((1, 5)) for _ in range(3)]
    f.add('moco', '0.2 one query and one negative', lambda q, k, queue: info_nce(q, k, queue, 0.2), one, {'temperature': 0.2}, gradients=[0], unit=True, names=['queries', 'keys', 'queue'], outputs=['loss'])
