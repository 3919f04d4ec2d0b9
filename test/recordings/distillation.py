"""Losses of a student that predicts what a teacher, or its own other branch, makes of another view, as their official code computes them. record.py finds this file."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from recorder import KINDS, embeddings, family, rng


def regression_loss(x, y):
    """google-deepmind/deepmind-research:byol/utils/helpers.py: 1e-12 is the least of the squared length."""
    unit = lambda x: x * torch.rsqrt(torch.clamp((x * x).sum(-1, keepdim=True), min=1e-12))
    return ((unit(x) - unit(y)) ** 2).sum(-1)


def byol(p1, p2, z1, z2):
    """byol/byol_experiment.py, loss_fn."""
    return (regression_loss(p1, z2.detach()) + regression_loss(p2, z1.detach())).mean()


def simsiam(p1, p2, z1, z2, stop_gradient):
    """facebookresearch/simsiam:main_simsiam.py, train."""
    criterion = nn.CosineSimilarity(dim=1)
    if stop_gradient:
        z1, z2 = z1.detach(), z2.detach()
    return -(criterion(p1, z2).mean() + criterion(p2, z1).mean()) * 0.5


def dino(students, teachers, centre, student_temperature, teacher_temperature):
    """facebookresearch/dino:main_dino.py, DINOLoss.forward."""
    student_out = [s / student_temperature for s in students]
    teacher_out = [F.softmax((t - centre) / teacher_temperature, dim=-1).detach() for t in teachers]
    total, terms = 0, 0
    for iq, q in enumerate(teacher_out):
        for v in range(len(student_out)):
            if v == iq:
                continue
            total += torch.sum(-q * F.log_softmax(student_out[v], dim=-1), dim=-1).mean()
            terms += 1
    return total / terms


def update_center(centre, teachers, momentum):
    """DINOLoss.update_center, on one device."""
    output = torch.cat(teachers)
    return centre * momentum + output.sum(0) / len(output) * (1 - momentum)


@family
def distillation(f):
    names = ['p1', 'p2', 'z1', 'z2']
    for kind in KINDS:
        f.add('byol', kind, byol, embeddings('byol', kind, 4), gradients=[0, 1], unit=True, names=names, outputs=['loss'])
    p1, p2, z1, z2 = embeddings('byol short rows', 'n<d', 4)
    p1[0], p1[1], z2[2] = 0.0, 1e-7 * p1[1], 1e-7 * z2[2]
    f.add('byol', 'short rows', byol, [p1, p2, z1, z2], gradients=[0, 1], unit=True, names=names, outputs=['loss'])

    for stop_gradient in (True, False):
        for kind in KINDS if stop_gradient else ('ordinary',):
            f.add('simsiam', '%s%s' % (kind, '' if stop_gradient else ' without stop-gradient'), lambda *x: simsiam(*x, stop_gradient), embeddings('simsiam', kind, 4),
                  {'stopGradient': stop_gradient}, gradients=[0, 1] if stop_gradient else True, unit=True, names=names, outputs=['loss'])
    # Forward only: PyTorch 1.13 differentiates the length of a row as if it were not cut off.
    p1, p2, z1, z2 = embeddings('simsiam short rows', 'n<d', 4)
    p1[0], p1[1], z2[2] = 0.0, 1e-9 * p1[1], 1e-9 * z2[2]
    f.add('simsiam', 'short rows', lambda *x: simsiam(*x, True), [p1, p2, z1, z2], {'stopGradient': True}, gradients=False, names=names, outputs=['loss'])

    for crops, teacher_temperature in ((2, 0.04), (2, 0.07), (4, 0.04)):
        for kind in KINDS if (crops, teacher_temperature) == (2, 0.04) else ('ordinary',):
            students, teachers = embeddings('dino student', kind, crops), embeddings('dino teacher', kind, 2)
            # Cosines with rows of length 1 are what DINO's head gives.
            students, teachers = [[x / max(1.0, abs(x).max()) for x in part] for part in (students, teachers)]
            centre = 0.9 * sum(teachers).mean(0) / 2
            f.add('dino', '%d crops %g %s' % (crops, teacher_temperature, kind),
                  lambda *x: dino(x[:crops], x[crops:-1], x[-1], 0.1, teacher_temperature), [*students, *teachers, centre],
                  {'crops': crops, 'studentTemperature': 0.1, 'teacherTemperature': teacher_temperature}, gradients=list(range(crops)), unit=True, outputs=['loss'])
    for momentum in (0.9, 0.0):
        f.add('dinoCentre', '%g' % momentum, lambda c, *t: update_center(c, t, momentum), [rng('centre').standard_normal(6), *embeddings('centre', 'offset')], {'momentum': momentum}, gradients=False)
    for momentum in (0.996, 0.5):
        def moved(target, source):
            for _ in range(3):
                target = target * momentum + source * (1 - momentum)
            return target
        f.add('moveAverage', '%g' % momentum, moved, [(3, 4), (3, 4)], {'momentum': momentum, 'steps': 3}, gradients=False)
