"""The newer information-maximisation losses and whitenings, each as its official code computes it; see README.md."""
import math

import numpy as np
import torch
import torch.nn.functional as F

from recorder import KINDS, embeddings, f32, family, rng


PAIRS = {kind: embeddings('information', kind, n=9, d=4) for kind in KINDS}
MANY = {'three views': embeddings('information, three views', 'ordinary', 3, n=7, d=4)}


def names(count, *rest):
    return ['view%d' % v for v in range(count)] + list(rest)


def directions(label, d, count=6):
    return F.normalize(torch.tensor(rng('directions ' + label).standard_normal((d, count))), dim=0).numpy()


def off_diagonal(c):
    return c - torch.diag(torch.diagonal(c))


# ------------------------------------------------------------------------------------------------------------------------------ losses

def sigreg(z, a, knots=17):
    """rbalestr-lab/lejepa:MINIMAL.md; z [V, n, d], a [d, slices]."""
    t = torch.linspace(0, 3, knots, dtype=z.dtype)
    dt = 3 / (knots - 1)
    weights = torch.full((knots,), 2 * dt, dtype=z.dtype)
    weights[[0, -1]] = dt
    window = torch.exp(-t.square() / 2)
    x = (z @ a).unsqueeze(-1) * t
    error = (x.cos().mean(-3) - window).square() + x.sin().mean(-3).square()
    return ((error @ (weights * window)) * z.shape[-2]).mean()


def lejepa(views, a, lamb, globals_):
    z = torch.stack(views)
    regular, agree = sigreg(z, a), (z[:globals_].mean(0) - z).square().mean()
    return lamb * regular + (1 - lamb) * agree, agree, regular


def visreg(views, a, lamb, globals_, weights):
    """HaiyuWu/visreg:visreg/losses/visreg.py, train.py; the quantiles in double precision."""
    z = torch.stack(views)
    n = z.shape[1]
    mu = z.mean(1, keepdim=True)
    centre = mu.pow(2).mean()
    zc = z - mu
    std = zc.norm(dim=1).div(math.sqrt(n)) + 1e-6
    scale = (std - 1).pow(2).mean()
    q = torch.linspace(1, n, n, dtype=torch.float64) / (n + 1)
    target = (torch.erfinv(2 * q - 1) * math.sqrt(2)).to(z.dtype).view(1, n, 1)
    shape = ((zc / std.detach().unsqueeze(1) @ a).sort(dim=1, stable=True).values - target).pow(2).mean()
    agree = (z - z[:globals_].mean(0, keepdim=True)).square().mean()
    return lamb * (weights[0] * scale + weights[1] * shape + weights[2] * centre) + (1 - lamb) * agree, agree, scale, shape, centre


def vibcreg(za, zb, weights=(25.0, 25.0, 200.0)):
    """ML4ITS/vibcreg:pypilib/vibcreg/losses.py"""
    def correlation(z):
        z = F.normalize(z - z.mean(0), p=2, dim=0)
        return (off_diagonal(z.T @ z) ** 2).mean()
    agree, vary = F.mse_loss(za, zb), sum(F.relu(1.0 - torch.sqrt(z.var(0) + 1e-4)).mean() for z in (za, zb))
    mixed = correlation(za) + correlation(zb)
    return weights[0] * agree + weights[1] * vary + weights[2] * mixed, agree, vary, mixed


def tico(za, zb, c, dialect, rho, beta=0.9):
    """lightly/loss/tico_loss.py, sayannag/TiCo-pytorch:TiCo/main.py"""
    za, zb = F.normalize(za, dim=1), F.normalize(zb, dim=1)
    b = za.T @ za / za.shape[0]
    c = beta * c + (1 - beta) * (b if dialect == 'sayannag' else b.detach())
    agree, contrast = -(za * zb).sum(1).mean(), ((za @ c) * za).sum(1).mean()
    if dialect == 'lightly':
        agree = 1 + agree
    return agree + rho * contrast, agree, contrast, c


def mmcr(views, teacher, lamb):
    """ThomasYerxa/mmcr:mmcr/imagenet/loss_mmcr.py, loss_mmcr_momentum.py"""
    z = torch.stack([F.normalize(v, dim=-1) for v in views], -1)                      # n, d, V
    centroids = z.mean(-1)
    if teacher:
        centroids = 0.5 * (centroids + torch.stack([F.normalize(v, dim=-1) for v in teacher], -1).mean(-1))
    whole, local = torch.linalg.svdvals(centroids).sum(), torch.linalg.svdvals(z).sum() / z.shape[0]
    return lamb * local - whole, whole, local


def coding_rate(z, eps):
    """tsb0601/EMP-SSL:loss.py, TotalCodingRate (without the sign)"""
    n, d = z.shape
    return torch.logdet(torch.eye(d, dtype=z.dtype) + d / (n * eps) * z.T @ z) / 2


def empssl(views, eps, weight):
    """tsb0601/EMP-SSL:main.py, model/model.py"""
    rows = [F.normalize(v, dim=1) for v in views]
    mean = torch.stack(rows).mean(0)
    similarity = sum(F.cosine_similarity(z, mean, dim=1).mean() for z in rows) / len(rows)
    rate = sum(coding_rate(z, eps) for z in rows) / len(rows)
    return -weight * similarity - rate, rate, similarity


def cor_info_max(za, zb, mu1, r1, mu2, r2, alpha, lamb, eps):
    """serdarozsoy/corinfomax-ssl:cifars-tiny/loss.py, pretrain_base.py"""
    n, d = za.shape
    information, after = 0, []
    for z, mu, r in ((za, mu1, r1), (zb, mu2, r2)):
        mu = lamb * mu + (1 - lamb) * z.mean(0)
        r = lamb * r + (1 - lamb) * ((z - mu).T @ (z - mu) / n)
        information = information + torch.logdet(r + eps * torch.eye(d, dtype=z.dtype)) / d
        after += [mu, r]
    agree = F.mse_loss(za, zb)
    return alpha * agree - information, information, agree, *after


def vicregl(views, weights, globals_=2):
    """facebookresearch/VICRegL:main_vicregl.py, global_loss"""
    agree = [F.mse_loss(views[i], views[j]) for i in range(globals_) for j in range(len(views)) if j != i]
    agree, vary, mixed = sum(agree) / len(agree), 0, 0
    for z in views:
        z = z - z.mean(0)
        vary = vary + F.relu(1.0 - torch.sqrt(z.var(0) + 1e-4)).mean() / len(views)
        mixed = mixed + off_diagonal(z.T @ z / (len(z) - 1)).pow(2).sum() / z.shape[1] / len(views)
    return weights[0] * agree + weights[1] * vary + weights[2] * mixed, agree, vary, mixed


def frossl(views, dialect, weight):
    """OFSkean/FroSSL:solo/losses/frossl.py (multiview_frossl_loss_func; paper: frossl_loss_func), solo-learn:solo/losses/frossl.py"""
    n, d = views[0].shape
    if dialect == 'paper':
        views = [(z - z.mean(0)) / z.std(0) for z in views]
        scaled = [d ** 0.5 * F.normalize(z, p=2, dim=0) for z in views]
        agree = F.mse_loss(*scaled)
    else:
        scaled = [F.normalize(z, p=2, dim=0) for z in views]
        mean = torch.stack(scaled).mean(0)
        count = len(views)
        agree = count * d * (F.mse_loss(torch.stack(scaled), mean.repeat(count, 1, 1)) if dialect == 'solo-learn' else sum(F.mse_loss(z, mean) for z in scaled))
    regular = 0
    for z in scaled:
        k = z.T @ z if n > d else z @ z.T
        regular = regular + 2 * torch.log(torch.linalg.norm(k / torch.trace(k).item(), ord='fro'))
    return regular + weight * agree, regular, agree


def newton_schulz(x, epsilon, iterations, correction, additive):
    """x [n, d] → whitened; winci-ai/INTL:methods/whitening.py, huangleiBuaa/IterNorm-pytorch (additive)"""
    x = x - x.mean(0)
    eye = torch.eye(x.shape[1], dtype=x.dtype)
    sigma = x.T @ x / (len(x) - correction)
    sigma = sigma + epsilon * eye if additive else (1 - epsilon) * sigma + epsilon * eye
    trace, p = torch.trace(sigma), eye
    for _ in range(iterations):
        p = 1.5 * p - 0.5 * torch.matrix_power(p, 3) @ (sigma / trace)
    return x @ (p / trace.sqrt())


def intl(views, axis, weight, iterations=4):
    """winci-ai/INTL:methods/intl.py, base.py, whitening.py; axis 0 whitens the samples, 1 the dimensions"""
    turn = (lambda x: x.T) if axis == 0 else (lambda x: x)
    white = [turn(newton_schulz(turn(z), 0.0, iterations, 1, False)) for z in views]

    def trace_loss(x):
        x = turn(x)
        return (((x - x.mean(0)) ** 2).sum(0) / (len(x) - 1) - 1).pow(2).sum()
    pairs = [(2 - 2 * (F.normalize(white[0]) * F.normalize(z)).sum(-1).mean(), trace_loss(white[0]) + trace_loss(z)) for z in white[1:]]
    distance, trace = (sum(p) / len(pairs) for p in zip(*pairs))
    return distance + weight * trace, distance, trace


def alignment_uniformity(x, y, weights, alpha, t):
    """SsnL/align_uniform:align_uniform/__init__.py, examples/stl10/main.py"""
    x, y = F.normalize(x), F.normalize(y)
    align = (x - y).norm(p=2, dim=1).pow(alpha).mean()

    def uniform(z):
        # Of equal rows, pdist's own derivative is 0/0 where the squared distance's is 0.
        i, j = torch.triu_indices(len(z), len(z), 1)
        return (z[i] - z[j]).square().sum(1).mul(-t).exp().mean().log()
    uniformity = (uniform(x) + uniform(y)) / 2
    return weights[0] * align + weights[1] * uniformity, align, uniformity


def iter_norm(x, weight, bias, groups, epsilon=1e-5, iterations=5, momentum=0.1):
    """ML4ITS/vibcreg:pypilib/vibcreg/iter_norm.py, in training from the initial state: the output, running mean and running matrix"""
    n, channels = x.shape
    size = (channels - 1) // groups + 1
    while channels % size:
        size //= 2
    g = x.T.reshape(-1, size, n)
    mean = g.mean(-1, keepdim=True)
    xc = g - mean
    eye = torch.eye(size, dtype=x.dtype).expand(len(g), size, size)
    sigma = torch.baddbmm(eye, xc, xc.transpose(1, 2), beta=epsilon, alpha=1 / n)
    rest = (sigma * eye).sum((1, 2), keepdim=True).reciprocal()
    p = eye
    for _ in range(iterations):
        p = torch.baddbmm(p, torch.matrix_power(p, 3), sigma * rest, beta=1.5, alpha=-0.5)
    w = p * rest.sqrt()
    y = w.matmul(xc).reshape(channels, n).T
    return y * weight + bias, (momentum * mean).detach(), (momentum * w + (1 - momentum) * eye).detach()


def dbn(x, epsilon=1e-5):
    """huangleiBuaa/IterNorm-pytorch:dbn.py"""
    x = x - x.mean(0)
    w, v = torch.linalg.eigh(x.T @ x / len(x) + epsilon * torch.eye(x.shape[1], dtype=x.dtype))
    return x @ (v @ torch.diag(w.rsqrt()) @ v.T)


# --------------------------------------------------------------------------------------------------------------------------- the family

@family
def information(f):
    everything = {**PAIRS, **MANY}

    def loss(op, label, fn, inputs, parts, attributes=None, inputNames=None, gradients=True, **flags):
        f.add(op, label, fn, inputs, attributes, gradients=gradients, outputs=['loss'] + parts, names=inputNames, unit=True, **flags)

    for label, views in everything.items():
        count, d = len(views), views[0].shape[1]
        differentiated = list(range(count))
        a = directions(label, d)
        globals_ = 2
        part = 0.02 if label in PAIRS else 0.05
        loss('lejepa', label, lambda *x: lejepa(x[:-1], x[-1], part, globals_), [*views, a], ['invariance', 'sigreg'],
             {'sigreg': part, 'globals': globals_}, names(count, 'directions'), differentiated)
        lamb, weights = (0.9, (1.0, 1.0, 1.0)) if label in PAIRS else (0.6, (2.0, 3.0, 0.5))
        # Of equal rows the order is not unique, nor the gradient.
        tied = label == 'duplicate rows'
        loss('visreg', label, lambda *x: visreg(x[:-1], x[-1], lamb, globals_, weights), [*views, a], ['invariance', 'scale', 'shape', 'offset'],
             {'regularization': lamb, 'scale': weights[0], 'shape': weights[1], 'offset': weights[2], 'globals': globals_}, names(count, 'directions'),
             False if tied else differentiated)
        loss('vicregl', label, lambda *x: vicregl(x, (25.0, 25.0, 1.0)), views, ['invariance', 'variance', 'covariance'],
             {'invariance': 25.0, 'variance': 25.0, 'covariance': 1.0, 'globals': 2}, names(count))
        loss('empssl', label, lambda *x: empssl(x, 0.2, 200.0), views, ['codingRate', 'similarity'], {'epsilon': 0.2, 'similarity': 200.0}, names(count))
        for local in (0.0, 0.3) if label == 'ordinary' else (0.3,):
            loss('mmcr', '%s local %g' % (label, local), lambda *x: mmcr(x, None, local), views, ['global', 'local'], {'local': local}, names(count))
        for dialect in ('official', 'solo-learn'):
            loss('frossl', '%s %s' % (dialect, label), lambda *x: frossl(x, dialect, 1.0), views, ['regularization', 'invariance'],
                 {'dialect': dialect, 'invariance': 1.0}, names(count))
        for axis, whitened in enumerate(('samples', 'dimensions')):
            weight = (math.log2(views[0].shape[axis]) - 3) * 0.01
            loss('intl', '%s %s' % (whitened, label), lambda *x: intl(x, axis, weight), views, ['distance', 'trace'], {'whitened': whitened}, names(count))
    f.add('codingRate', 'offset', lambda z: coding_rate(z, 0.01), [PAIRS['offset'][0]], {'epsilon': 0.01})
    teacher = embeddings('teacher', 'ordinary', n=9, d=4)
    loss('mmcr', 'momentum', lambda a, b, c, d: mmcr([a, b], [c, d], 0.1), [*PAIRS['ordinary'], *teacher], ['global', 'local'],
         {'local': 0.1, 'momentum': True}, ['view0', 'view1', 'teacher0', 'teacher1'])

    for label, (za, zb) in PAIRS.items():
        n, d = za.shape
        loss('vibcreg', label, vibcreg, [za, zb], ['invariance', 'variance', 'covariance'], {'invariance': 25.0, 'variance': 25.0, 'covariance': 200.0}, ['za', 'zb'])
        draw = rng('state ' + label)
        root = draw.standard_normal((2 * d, d))
        c = f32(root.T @ root / (2 * d))
        for dialect, rho in (('paper', 8.0), ('lightly', 8.0), ('sayannag', 20.0)):
            loss('tico', '%s %s' % (dialect, label), lambda a, b, c: tico(a, b, c, dialect, rho), [za, zb, c / d], ['invariance', 'contrast', 'updated'],
                 {'dialect': dialect, 'contrast': rho, 'covarianceMomentum': 0.9}, ['za', 'zb', 'covariance'])
        alpha, lamb = (500.0, 0.01) if label != 'offset' else (250.0, 0.6)
        loss('corInfoMax', label, lambda *x: cor_info_max(*x, alpha, lamb, 1e-6), [za, zb, 0.1 * draw.standard_normal(d), c, 0.1 * draw.standard_normal(d), np.eye(d)],
             ['information', 'invariance', 'meanA', 'covarianceA', 'meanB', 'covarianceB'], {'invariance': alpha, 'momentum': lamb, 'epsilon': 1e-6},
             ['za', 'zb', 'meanA', 'covarianceA', 'meanB', 'covarianceB'])
        loss('frossl', 'paper %s' % label, lambda a, b: frossl([a, b], 'paper', 1.0), [za, zb], ['regularization', 'invariance'], {'dialect': 'paper', 'invariance': 1.0}, ['za', 'zb'])
        loss('alignmentUniformity', label, lambda a, b: alignment_uniformity(a, b, (1.0, 1.0), 2.0, 2.0), [za, zb], ['alignment', 'uniformity'],
             {'alignment': 1.0, 'uniformity': 1.0, 'exponent': 2.0, 't': 2.0}, ['za', 'zb'])
    loss('alignmentUniformity', 'exponent 1 t 3', lambda a, b: alignment_uniformity(a, b, (2.0, 0.5), 1.0, 3.0), PAIRS['ordinary'], ['alignment', 'uniformity'],
         {'alignment': 2.0, 'uniformity': 0.5, 'exponent': 1.0, 't': 3.0}, ['za', 'zb'])

    for groups in (1, 2, 64):
        draw = rng('iterNorm %d' % groups)
        x = f32(embeddings('iterNorm %d' % groups, 'ordinary', n=9, d=6)[0] * np.array([0.1, 1, 2, 1, 3, 0.5]) + 1)
        f.add('iterNorm', 'groups %d' % groups, lambda *a: iter_norm(*a, groups), [x, 1 + 0.2 * draw.standard_normal((1, 6)), 0.2 * draw.standard_normal((1, 6))],
              {'groups': groups}, names=['x', 'weight', 'bias'], outputs=['y', 'runningMean', 'runningWm'])
    for label in ('offset', 'n<d', 'near-collapsed'):
        x = PAIRS[label][0]
        f.add('publishedWhitening', 'intl %s' % label, lambda x: newton_schulz(x, 0.0, 4, 1, False), [x], {'name': 'intl'})
        f.add('publishedWhitening', 'iterNorm %s' % label, lambda x: newton_schulz(x, 1e-5, 5, 0, True), [x], {'name': 'iterNorm'})
        f.add('publishedWhitening', 'dbn %s' % label, dbn, [x], {'name': 'dbn'})
