"""
VICReg as four libraries define it, written from their formulas: python3 vicreg.py solo-learn | lightly | vicregl | augustwester
For an audit: tensegrity audit --command 'python3 vicreg.py lightly' --family vicreg
"""

import sys

import torch
from torch.nn.functional import mse_loss, relu

from answer import answer


def off_diagonal(matrix):
    return matrix[~torch.eye(len(matrix), dtype=torch.bool)]


def covariance(z):
    z = z - z.mean(dim=0)
    return z.T @ z / (len(z) - 1)


def hinge(z, epsilon=1e-4):
    return relu(1 - torch.sqrt(z.var(dim=0) + epsilon)).mean()


def redundancy(z):
    return off_diagonal(covariance(z)).pow(2).sum() / z.shape[1]


def solo_learn(za, zb, **_):
    """vturrisi/solo-learn:solo/losses/vicreg.py: both views' hinges and covariances added up"""
    return 25 * mse_loss(za, zb) + 25 * (hinge(za) + hinge(zb)) + redundancy(za) + redundancy(zb)


def lightly(za, zb, **_):
    """lightly-ai/lightly:lightly/loss/vicreg_loss.py: as the official code, half of the hinges"""
    return 25 * mse_loss(za, zb) + 25 * 0.5 * (hinge(za) + hinge(zb)) + redundancy(za) + redundancy(zb)


def vicregl(za, zb, **_):
    """facebookresearch/VICRegL:main_vicregl.py, the global term of two views: means over views of both"""
    return 25 * mse_loss(za, zb) + 25 * (hinge(za) + hinge(zb)) / 2 + (redundancy(za) + redundancy(zb)) / 2


def augustwester(za, zb, **_):
    """augustwester/vicreg:loss.py, vicreg/train.py: standard deviations without ε; covariances off the diagonal as all less the diagonal"""

    def all_but_diagonal(z):
        squares = covariance(z).pow(2)
        return (squares.sum() - squares.diag().sum()) / z.shape[1]

    hinges = relu(1 - za.std(dim=0)).mean() + relu(1 - zb.std(dim=0)).mean()
    return 25 * mse_loss(za, zb) + 25 * hinges + all_but_diagonal(za) + all_but_diagonal(zb)


if __name__ == "__main__":
    answer({"solo-learn": solo_learn, "lightly": lightly, "vicregl": vicregl, "augustwester": augustwester}[sys.argv[1]])
