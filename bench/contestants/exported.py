"""An exported run, by its own train.py: steps as `python train.py` takes them. Takes its folder, and `serve` (the protocol of protocol.ts) or `program`
(prints the compiled step for all devices)."""

import json
import os
import sys
import time

folder, what = sys.argv[1:]
sys.argv[1:] = []
sys.path.insert(0, folder)

import jax
import numpy as np
import train

run = train.Run(train.arguments(), train.Devices(jax))
done = run.standing["step"]


def step():
    global done
    if done == run.steps:
        sys.exit("error: all epochs are over; take fewer turns")
    run.state, metrics = run.advance(run.state, run.batch(done), np.int32(done), *run.schedules[done])
    done += 1
    return float(metrics["loss"])


def prepare():
    start = time.perf_counter()
    check = step()
    return {"prepared": {"milliseconds": (time.perf_counter() - start) * 1e3, "check": check}}


def sample(milliseconds):
    end, times = time.perf_counter() + milliseconds / 1e3, []
    while not times or time.perf_counter() < end:
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1e3)
    return {"times": times}


if what == "program":
    print(run.advance.lower(run.state, run.batch(done), np.int32(done), *run.schedules[done]).compile().as_text())
else:
    for line in sys.stdin:
        request = json.loads(line)
        reply = prepare() if "prepare" in request else sample(request["sample"]["milliseconds"])
        os.write(3, (json.dumps(reply) + "\n").encode())
