"""PyTorch, eager as its users have it. Takes the number of threads, or `cuda`. Speaks the protocol of protocol.ts."""

import json
import math
import os
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

DEVICE = "cuda" if sys.argv[1] == "cuda" else "cpu"
if DEVICE == "cpu":
    torch.set_num_threads(int(sys.argv[1]))
else:
    if not torch.cuda.is_available():
        sys.exit("error: this PyTorch finds no CUDA device")
    # f32 with all its bits, as the others compute.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # What a user who wants speed sets, since shapes stay: the fastest of cuDNN's algorithms.
    torch.backends.cudnn.benchmark = True


def settle():
    """Waits for the GPU, which is given call after call."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def values(shape, seed, scale=1.0):
    """The hash of values.ts."""
    count = math.prod(shape)
    with np.errstate(over="ignore"):
        h = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed) * np.uint32(0x85EBCA77)
        h = (h ^ (h >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        h = (h ^ (h >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        h ^= h >> np.uint32(16)
    unit = (h >> np.uint32(8)).astype(np.float64) * 2.0**-23 - 1
    return torch.tensor((unit * scale).astype(np.float32), device=DEVICE).view(*shape)


def magnitude(*tensors):
    return sum(t.detach().double().abs().sum().item() for t in tensors) / sum(t.numel() for t in tensors)


class Runner:
    """Times `run`, whose results are compared by magnitude."""

    def __init__(self, run):
        self.run = run

    def first(self):
        return magnitude(*self.run())


class Step(Runner):
    """A step whose result is its loss. `held`: tensors that live from step to step."""

    def __init__(self, run, held):
        super().__init__(run)
        self.held = held

    def first(self):
        return self.run()

    def peak_bytes(self):
        """Live tensors at the most, from the allocator's events in one step, on top of those that live on."""
        if DEVICE == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self.run()
            return torch.cuda.max_memory_allocated()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
            self.run()
        events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
        live = peak = 0
        for event in sorted(events, key=lambda event: event.start_us()):
            live += event.nbytes()
            peak = max(peak, live)
        return peak + sum(t.numel() * t.element_size() for t in self.held())


def matmul(work):
    a = values([work["k"], work["m"]] if work["transposeA"] else [work["m"], work["k"]], 1)
    b = values([work["n"], work["k"]] if work["transposeB"] else [work["k"], work["n"]], 2)
    a = a.T if work["transposeA"] else a
    b = b.T if work["transposeB"] else b
    bias = values([work["n"]], 3)
    return Runner(lambda: (F.relu(a @ b + bias) if work.get("finish") else a @ b,))


def convolution(work):
    batch, size, kernel, stride, padding = (work[name] for name in ("batch", "size", "kernel", "stride", "padding"))
    out = (size + 2 * padding - kernel) // stride + 1
    x = values([batch, work["inputs"], size, size], 1)
    w = values([work["outputs"], work["inputs"], kernel, kernel], 2)
    g = values([batch, work["outputs"], out, out], 3)
    scale, shift = values([work["outputs"], 1, 1], 4), values([work["outputs"], 1, 1], 5)

    def forward():
        y = F.conv2d(x, w, stride=stride, padding=padding)
        return (F.relu(y * scale + shift) if work.get("finish") else y,)

    directions = {
        "forward": forward,
        "input": lambda: (torch.nn.grad.conv2d_input(x.shape, w, g, stride, padding),),
        "weight": lambda: (torch.nn.grad.conv2d_weight(x, w.shape, g, stride, padding),),
    }
    return Runner(directions[work["direction"]])


def linear_layers(widths):
    layers = []
    for i in range(len(widths) - 2):
        layers += [nn.Linear(widths[i], widths[i + 1], bias=False), nn.BatchNorm1d(widths[i + 1]), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1], bias=False))


def block(inputs, outputs, stride):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        inner = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(inner)) + (self.downsample(x) if self.downsample else x))


def resnet18():
    stages = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
    blocks = [layer for i, o, s in stages for layer in (BasicBlock(i, o, s), BasicBlock(o, o, 1))]
    stem = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def perceptron(encoder, expander):
    return nn.Sequential(nn.Flatten(), linear_layers(encoder), linear_layers(expander))


def convolutional(channels, expander, strides=(1, 2, 2, 2)):
    blocks = [block(i, o, stride) for i, o, stride in zip(channels, channels[1:], strides)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear_layers(expander))


EXPANDER = [1024, 1024, 1024]
NETWORKS = {
    "mlp": lambda: ([256, 1, 28, 28], perceptron([784, 512, 512, 256], [256, *EXPANDER])),
    "conv": lambda: ([256, 1, 28, 28], convolutional([1, 32, 64, 128, 256], [256, *EXPANDER])),
    "smallMlp": lambda: ([32, 1, 28, 28], perceptron([784, 64, 64, 32], [32, 64, 64, 64])),
    "smallConv": lambda: ([32, 1, 28, 28], convolutional([1, 8, 16, 32, 32], [32, 64, 64, 64])),
    "resnet18": lambda: ([128, 3, 32, 32], nn.Sequential(resnet18(), linear_layers([512, *EXPANDER]))),
    "reference": lambda: ([256, 1, 28, 28], convolutional([1, 32, 64, 128], [128, 256, 256, 256], (2, 2, 1))),
    "smallResnet18": lambda: ([4, 3, 8, 8], nn.Sequential(resnet18(), linear_layers([512, 64, 64, 64]))),
}


def off_diagonal(c):
    n = c.shape[0]
    return c.flatten()[:-1].view(n - 1, n + 1)[:, 1:].flatten()


def vicreg(a, b):
    n, d = a.shape
    invariance = F.mse_loss(a, b)
    a, b = a - a.mean(0), b - b.mean(0)
    hinge = [F.relu(1 - torch.sqrt(z.var(0) + 1e-4)).mean() / 2 for z in (a, b)]
    covariance = [off_diagonal(z.T @ z / (n - 1)).pow(2).sum() / d for z in (a, b)]
    return 25 * invariance + 25 * sum(hinge) + sum(covariance)


def step(work):
    shape, network = NETWORKS[work["network"]]()
    network.to(DEVICE)
    with torch.no_grad():
        for i, p in enumerate(network.parameters()):
            if p.dim() > 1:
                p.copy_(values(p.shape, i + 1, math.sqrt(3 / math.prod(p.shape[1:]))))
    x, y = values(shape, 1001), values(shape, 1002)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)

    def run():
        optimizer.zero_grad()
        loss = vicreg(network(x), network(y))
        loss.backward()
        optimizer.step()
        return loss.item()

    def held():
        state = [t for values in optimizer.state.values() for t in values.values() if torch.is_tensor(t)]
        # Gradients are freed and made anew in the step, which the events show.
        return [x, y, *network.parameters(), *network.buffers(), *state]

    return Step(run, held)


BETA1, BETA2 = 0.9, 0.999


def sgd_momentum(shape):
    w, m, g = values(shape, 1), values(shape, 2), values(shape, 3)

    def run():
        m.mul_(0.9).add_(g)
        w.add_(m, alpha=-0.01)
        return w, m

    return Runner(run)


def adam_w(shape):
    w, m, v, g = values(shape, 1), values(shape, 2), values(shape, 3).abs(), values(shape, 4)

    def run():
        w.mul_(1 - 0.001 * 0.01)
        m.mul_(BETA1).add_(g, alpha=1 - BETA1)
        v.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
        w.addcdiv_(m, (v.sqrt() / math.sqrt(1 - BETA2)).add_(1e-8), value=-0.001 / (1 - BETA1))
        return w, m, v

    return Runner(run)


def batch_norm_relu(shape, gradient):
    x, gamma, beta = values(shape, 1), values(shape[1:2], 2), values(shape[1:2], 3)
    forward = lambda: F.relu(F.batch_norm(x, None, None, gamma, beta, training=True))
    if not gradient:
        return Runner(lambda: (forward(),))
    g = values(shape, 4)
    for t in (x, gamma, beta):
        t.requires_grad_()

    def run():
        y = forward()
        return (y.detach(), *torch.autograd.grad(y, (x, gamma, beta), g))

    return Runner(run)


def softmax(shape):
    x = values(shape, 1, 8)
    return Runner(lambda: (torch.softmax(x, 1),))


CHAINS = {
    "sgdMomentum": sgd_momentum,
    "adamW": adam_w,
    "batchNormRelu": lambda shape: batch_norm_relu(shape, False),
    "batchNormReluGradient": lambda shape: batch_norm_relu(shape, True),
    "softmax": softmax,
}


def whitening(work):
    shape = [work["groups"], work["samples"], work["dimensions"]]
    x, g = values(shape, 1).requires_grad_(), values(shape, 2)

    def run():
        centred = x - x.mean(1, keepdim=True)
        sigma = centred.transpose(1, 2) @ centred / (work["samples"] - 1)
        y = torch.linalg.solve_triangular(torch.linalg.cholesky(sigma), centred.transpose(1, 2), upper=False).transpose(1, 2)
        return (y.detach(), *torch.autograd.grad(y, x, g))

    return Runner(run)


def replay(work):
    x, w = values([8, 8], 1), values([8, 8], 2, 0.5)

    def run():
        y = x
        for _ in range(work["kernels"]):
            y = y @ w
        return (y,)

    return Runner(run)


WORK = {
    "matmul": matmul,
    "convolution": convolution,
    "step": step,
    "chain": lambda work: CHAINS[work["chain"]](work["shape"]),
    "whitening": whitening,
    "replay": replay,
}


def timed(run, calls):
    start = time.perf_counter()
    for _ in range(calls):
        run()
    settle()
    return (time.perf_counter() - start) * 1e3 / calls


def sample(run, milliseconds):
    end = time.perf_counter() + milliseconds / 1e3
    times = [timed(run, 1)]
    calls = max(1, math.ceil((30 if DEVICE == "cuda" else 2) / times[0]))
    if calls > 1:
        times.pop()
    while not times or time.perf_counter() < end:
        times.append(timed(run, calls))
    return times


runner = None
for line in sys.stdin:
    request = json.loads(line)
    try:
        if "prepare" in request:
            work = request["prepare"]["work"]
            runner = WORK[work["kind"]](work)
            start = time.perf_counter()
            check = runner.first()
            prepared = {"milliseconds": (time.perf_counter() - start) * 1e3, "check": check}
            if hasattr(runner, "peak_bytes"):
                prepared["peakBytes"] = runner.peak_bytes()
            reply = {"prepared": prepared}
        else:
            reply = {"times": sample(runner.run, request["sample"]["milliseconds"])}
    except Exception as error:  # Whatever it is, it is what this contestant cannot do.
        reply = {"cannot": str(error).split("\n")[0][:120]}
    os.write(3, (json.dumps(reply) + "\n").encode())
