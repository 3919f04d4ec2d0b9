"""What facebookresearch/swav computes (main_swav.py, main_deepclusterv2.py, src/resnet50.py), on one process."""
import numpy as np
import torch
import torch.nn.functional as F

from recorder import family, rng


def scores_of(z, prototypes):
    """The network's last lines: embeddings to length 1, then the prototype layer, whose rows were set to length 1 before, without gradient."""
    lengths = prototypes.detach().norm(dim=1, keepdim=True)
    return F.normalize(z, dim=1, p=2) @ (prototypes / lengths).t()


def sinkhorn(scores, epsilon, iterations):
    """distributed_sinkhorn, of prototypes × samples, after exp(scores/ε)."""
    q = torch.exp(scores / epsilon).t()
    q = q / q.sum()
    r, c = 1 / q.shape[0], 1 / q.shape[1]
    for _ in range(iterations):
        q = q * (r / q.sum(1)).unsqueeze(1)
        q = q * (c / q.sum(0)).unsqueeze(0)
    return (q / q.sum(0, keepdim=True)).t()


def swav(views, prototypes, queue, temperature, epsilon, iterations, assigning):
    output = [scores_of(z, prototypes) for z in views]
    n = len(views[0])
    loss = 0
    for i in range(assigning):
        with torch.no_grad():
            out = output[i] if queue is None else torch.cat((scores_of(queue[i], prototypes), output[i]))
            q = sinkhorn(out, epsilon, iterations)[-n:]
        subloss = 0
        for v in range(len(views)):
            if v != i:
                subloss = subloss - torch.mean(torch.sum(q * torch.log(torch.softmax(output[v] / temperature, 1)), 1))
        loss = loss + subloss / (len(views) - 1)
    return loss / assigning


def deep_cluster(z, prototypes, assignments, temperature):
    return F.cross_entropy(scores_of(z, prototypes) / temperature, assignments, ignore_index=-100)


def spherical_k_means(points, centroids, iterations):
    """cluster_memory's E and M steps, of a bank of embeddings of length 1."""
    bank, centroids = F.normalize(points, dim=1, p=2), F.normalize(centroids, dim=1, p=2)
    for n_iter in range(iterations + 1):
        assignments = (bank @ centroids.t()).max(1)[1]
        if n_iter == iterations:
            break
        counts = torch.bincount(assignments, minlength=len(centroids))
        sums = torch.zeros_like(centroids).index_add(0, assignments, bank)
        mask = counts > 0
        centroids = centroids.clone()
        centroids[mask] = sums[mask] / counts[mask].unsqueeze(1)
        centroids = F.normalize(centroids, dim=1, p=2)
    return centroids, assignments


def batches(label, views, n, d, near=1e-3):
    """Views of n images as embeddings, by how healthy they are."""
    draw = rng('clustering' + label)
    common, images = draw.standard_normal((1, d)), draw.standard_normal((n, d))
    noise = [draw.standard_normal((n, d)) for _ in range(views)]
    if label == 'near collapse':
        return [common + near * (images + 0.5 * z) for z in noise]
    if label == 'offset':
        return [2 * common + 0.7 * images + 0.3 * z for z in noise]
    if label == 'duplicates':
        images = images[np.arange(n) % 3]
        return [images for z in noise]
    return [3 * (images + 0.5 * z) for z in noise]


SHAPES = {'ordinary': (24, 8, 6), 'near collapse': (16, 8, 5), 'offset': (16, 8, 5), 'n below d': (5, 12, 7), 'duplicates': (12, 6, 4)}


@family
def clustering(f):
    for label, (n, d, k) in SHAPES.items():
        prototypes = rng('prototypes' + label).standard_normal((k, d))
        options = {'temperature': 0.1, 'epsilon': 0.05, 'iterations': 3, 'assigning': 2}

        def add(more, views, queue=None, **changed):
            given = {**options, **changed}
            inputs = batches(label, views, n, d) + [prototypes] + ([] if queue is None else [queue])
            f.add('swav', label + more, lambda *x: swav(x[:views], x[views], None if queue is None else x[-1], **given), inputs,
                  {**given, 'views': views, 'queue': queue is not None}, gradients=list(range(views + 1)), unit=True)

        add('', 2)
        if label in ('ordinary', 'n below d'):
            add(' four views', 4)
            add(' one assigning', 3, assigning=1)
            add(' queue', 3, queue=rng('queue' + label).standard_normal((2, 2 * n, d)))
            add(' options', 2, temperature=0.2, epsilon=0.1, iterations=5)
            add(' softmax', 2, iterations=0)
        z = batches(label, 1, n, d)[0]
        assignments = rng('assignments' + label).integers(0, k, n)
        f.add('deepCluster', label, lambda z, c, a: deep_cluster(z, c, a, 0.1), [z, prototypes, assignments], {'temperature': 0.1}, unit=True)
        # Nearer, and what is nearest would be for float32's rounding to say.
        points = batches(label, 1, n, d, near=1e-2)[0]
        f.add('sphericalKMeans', label, lambda x, c: spherical_k_means(x, c, 10), [points, points[:min(n, 4)]], {'iterations': 10}, gradients=False)
    n, d, k = SHAPES['ordinary']
    assignments = np.where(np.arange(n) % 5 == 0, -100, np.arange(n) % k)
    f.add('deepCluster', 'unassigned', lambda z, c, a: deep_cluster(z, c, a, 0.2), [(n, d), (k, d), assignments], {'temperature': 0.2}, unit=True)
    points = batches('ordinary', 1, 24, 3)[0]
    f.add('sphericalKMeans', 'one iteration', lambda x, c: spherical_k_means(x, c, 1), [points, points[:3]], {'iterations': 1}, gradients=False)
    # Every point is nearer to the first three centroids than to the last, which has none.
    points = np.abs(points)
    f.add('sphericalKMeans', 'empty cluster', lambda x, c: spherical_k_means(x, c, 10), [points, np.concatenate([points[:3], -np.ones((1, 3))])], {'iterations': 10}, gradients=False)
    for label, scale in {'cosines': 1.0, 'large': 3.0}.items():
        for epsilon, iterations in ((0.05, 3), (0.05, 1), (0.05, 0), (0.25, 10)):
            scores = scale * rng('scores' + label).uniform(-1, 1, (14, 6))
            f.add('sinkhorn', '%s %g %d' % (label, epsilon, iterations), lambda s: sinkhorn(s, epsilon, iterations), [scores], {'epsilon': epsilon, 'iterations': iterations}, gradients=False)
