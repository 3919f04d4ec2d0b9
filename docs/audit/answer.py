"""Answers the questions of `tensegrity audit --command` with a loss of PyTorch tensors, and with its gradients. See ../audit.md."""

import json
import sys

import numpy as np
import torch


def answer(loss):
    source, out = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what the loss prints is no answer
    while line := source.readline():
        question = json.loads(line)
        tensors, embeddings = {}, {}
        for array in question["arrays"]:
            dtype = np.dtype(array["dtype"]).newbyteorder("<")
            data = source.read(dtype.itemsize * int(np.prod(array["shape"])))
            tensor = torch.from_numpy(np.frombuffer(data, dtype).reshape(array["shape"]).copy())
            (embeddings if array["role"] == "embedding" else tensors)[array["name"]] = tensor
        inputs = [z.requires_grad_(question["gradients"]) for z in embeddings.values()]
        value = loss(*inputs, **tensors, **question["options"])
        names, gradients = [], []
        if question["gradients"]:
            for name, gradient in zip(embeddings, torch.autograd.grad(value, inputs, allow_unused=True)):
                if gradient is not None:
                    names.append(name)
                    gradients.append(gradient.contiguous().numpy().tobytes())
        header = {"id": question["id"], "loss": value.item(), "gradients": names if question["gradients"] else None}
        out.write(json.dumps(header).encode() + b"\n" + b"".join(gradients))
        out.flush()
