#!/usr/bin/env python3
"""Trains with `step.py`, from the checkpoint in this folder on, on all devices of all processes that a launcher starts.

The global batch is divided among the devices, and XLA puts in the communication: statistics over the batch are over the whole of it. The order of the
images, the views and the checkpoint are those of `tensegrity train`, which goes on with this folder as with any of its own:

    python train.py                                  one process, all its devices
    srun python train.py                             a task for each group of devices, under Slurm
    tensegrity train --resume THIS_FOLDER            back on one machine

README.md has the launches in full.
"""

import argparse
import collections
import contextlib
import hashlib
import json
import math
import os
import pathlib
import signal
import socket
import sys
import time
import uuid
import zlib

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent
CHECKPOINT = FOLDER / "checkpoint.safetensors"
LOG = FOLDER / "metrics.jsonl"


class Fault(Exception):
    """What a person can put right, in one line."""


# ---- The order of the images -----------------------------------------------------------------------------------------------------------------------

PERMUTATION = 0x7065726D
ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)


def threefry2x32(key, counter):
    """Threefry-2x32 of 20 rounds (J. Salmon et al., SC 2011) of pairs of 32-bit words, which may be arrays."""
    keys = [np.asarray(word, np.uint32) for word in key]
    keys.append(np.uint32(0x1BD11BDA) ^ keys[0] ^ keys[1])
    with np.errstate(over="ignore"):
        x, y = (np.asarray(word, np.uint32) + k for word, k in zip(counter, keys))
        for i in range(20):
            rotation = np.uint32(ROTATIONS[i % 8])
            x = x + y
            y = ((y << rotation) | (y >> (np.uint32(32) - rotation))) ^ x
            if i % 4 == 3:
                turn = i // 4 + 1
                x = x + keys[turn % 3]
                y = y + keys[(turn + 1) % 3] + np.uint32(turn)
    return x, y


def permutation(count, seed, epoch):
    """0 … count − 1 in the order of an epoch: Fisher and Yates's shuffle, each draw a function of (seed, epoch, position)."""

    def words(number):
        return number & 0xFFFFFFFF, (number >> 32) & 0xFFFFFFFF

    (low, high), (epoch_low, epoch_high) = words(seed), words(epoch)
    key = threefry2x32((low, high), (epoch_low, PERMUTATION ^ epoch_high))
    positions = np.arange(count - 1, 0, -1)
    first, second = threefry2x32(key, (positions, np.zeros_like(positions)))
    # 53 random bits, as a double from 0 to below 1.
    fractions = (first * 2.0**21 + (second >> np.uint32(11))) / 2.0**53
    order = list(range(count))
    for last, chosen in zip(positions.tolist(), np.floor(fractions * (positions + 1)).astype(np.int64).tolist()):
        order[last], order[chosen] = order[chosen], order[last]
    return np.array(order, np.int32)


# ---- Checkpoints -----------------------------------------------------------------------------------------------------------------------------------

BEFORE_DIGEST = b'{"__metadata__":{"sha256":"'
DIGEST_START = 8 + len(BEFORE_DIGEST)
TYPES = {"F32": np.dtype("<f4"), "F64": np.dtype("<f8"), "I32": np.dtype("<i4"), "U8": np.dtype("u1")}


def read_checkpoint(path):
    """The arrays of a checkpoint of tensegrity by name, and where its run stands: step, epoch, batch, and its configuration."""
    content = path.read_bytes()
    digest = content[DIGEST_START : DIGEST_START + 64]
    if content[8:DIGEST_START] != BEFORE_DIGEST:
        raise Fault(f"{path} is no checkpoint of tensegrity; export the run anew")
    hashed = hashlib.sha256(content[:DIGEST_START] + b"0" * 64)
    hashed.update(memoryview(content)[DIGEST_START + 64 :])
    if hashed.hexdigest().encode() != digest:
        raise Fault(f"{path} is damaged or cut off: its content does not match its SHA-256 digest; go back to an earlier one")
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    metadata = header.pop("__metadata__")
    if metadata.get("kind") != "tensegrity checkpoint" or metadata.get("version") != "1":
        raise Fault(f"{path} is of another version of tensegrity; export the run anew with this one")
    arrays = {}
    for name, entry in header.items():
        dtype = TYPES[entry["dtype"]]
        first, end = entry["data_offsets"]
        arrays[name] = np.frombuffer(content, dtype, (end - first) // dtype.itemsize, start + first).reshape(entry["shape"])
    return arrays, json.loads(metadata["state"])


def write_checkpoint(path, arrays, standing):
    """Replaces a checkpoint in one step: whatever happens, the old one is there or the new one, whole."""
    names = {dtype: name for name, dtype in TYPES.items()}
    # Those of wide elements first, so that each is aligned.
    ordered = dict(sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize))
    header = {
        "__metadata__": {
            "sha256": "0" * 64,
            "kind": "tensegrity checkpoint",
            "version": "1",
            "state": json.dumps(standing, separators=(",", ":"), ensure_ascii=False),
        }
    }
    end = 0
    for name, array in ordered.items():
        header[name] = {"dtype": names[array.dtype], "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    beginning = len(text).to_bytes(8, "little") + text
    hashed = hashlib.sha256(beginning)
    for array in ordered.values():
        hashed.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    aside = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:12]}.partial")
    try:
        with aside.open("xb") as file:
            file.write(beginning[:DIGEST_START] + hashed.hexdigest().encode() + beginning[DIGEST_START + 64 :])
            for array in ordered.values():
                np.ascontiguousarray(array).reshape(-1).view(np.uint8).tofile(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


# ---- The right to write into the folder ------------------------------------------------------------------------------------------------------------


def text_of(path):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return ""


def started(pid):
    """When a process began, by the system's clock ticks; "" where there is none or the system does not say."""
    fields = text_of(f"/proc/{pid}/stat").rpartition(") ")[2].split(" ")
    return "" if fields[0] in ("", "Z", "X") else fields[19]


def exists(pid):
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except OSError:
        pass
    return True


def namespace():
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def job():
    """The job that this process is of, and which start of it: when there is another start, its launcher has ended the one before."""
    if "SLURM_JOB_ID" in os.environ:
        return [f"Slurm {os.environ.get('SLURM_CLUSTER_NAME', '')} {os.environ['SLURM_JOB_ID']}", os.environ.get("SLURM_RESTART_COUNT", "0")]
    if "KUBERNETES_SERVICE_HOST" in os.environ and "JOB_COMPLETION_INDEX" in os.environ:
        # `podReplacementPolicy: Failed` has one pod of a name at a time.
        return [f"Kubernetes {socket.gethostname()}", uuid.uuid4().hex]
    return ["", ""]


def identity():
    boot, machine = text_of("/proc/sys/kernel/random/boot_id"), text_of("/etc/machine-id")
    return [str(os.getpid()), socket.gethostname(), boot, machine, namespace(), started(os.getpid()), *job()]


def has_ended(holder):
    """Whether it is certain that the process which wrote `holder` has ended."""
    pid, host, boot, machine, space, since, its_job, its_start = (holder + [""] * 8)[:8]
    mine = identity()
    if its_job and its_job == mine[6] and its_start and its_start != mine[7]:
        return True
    if host != mine[1]:
        return False
    if boot != mine[2]:
        return machine != "" and machine == mine[3]
    if space != mine[4]:
        return False
    now = started(pid)
    return not exists(pid) or (now != "" and now != since)


@contextlib.contextmanager
def locked(folder):
    """Keeps other processes, those of `tensegrity train --resume` among them, from training the run of a folder at the same time."""
    lock, entry = folder / "lock", uuid.uuid4().hex
    aside = folder / f".lock.{os.getpid()}-{entry}.partial"
    aside.mkdir()
    try:
        (aside / entry).write_text("\n".join(identity()) + "\n")
        # A rename replaces an empty folder, and no other.
        while True:
            try:
                aside.rename(lock)
                break
            except OSError as cause:
                if not lock.exists():
                    raise
                if not lock.is_dir():
                    raise Fault(f"{lock} is not a lock of this program; remove it") from cause
            for other in lock.iterdir():
                holder = text_of(other).split("\n")
                if not has_ended(holder):
                    pid, host = (holder + ["", ""])[:2]
                    raise Fault(
                        f"{folder} is being trained by process {pid} on {host}; wait for it, or end it first "
                        f"(if there is none, remove its lock: rm -r {lock})"
                    )
                other.unlink(missing_ok=True)
    except BaseException:
        (aside / entry).unlink(missing_ok=True)
        aside.rmdir()
        raise
    try:
        yield
    finally:
        (lock / entry).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            lock.rmdir()


# ---- Processes and devices -------------------------------------------------------------------------------------------------------------------------


def join_processes(jax, forced):
    """Makes one program of the processes that a launcher has started, if its environment says that there are several."""
    told = os.environ.get
    if "JAX_COORDINATOR_ADDRESS" in os.environ:
        index = told("JAX_PROCESS_ID") or told("JOB_COMPLETION_INDEX")
        count = told("JAX_NUM_PROCESSES")
        if index is None or count is None:
            raise Fault("JAX_COORDINATOR_ADDRESS is set; set JAX_NUM_PROCESSES, and JAX_PROCESS_ID (from 0) where there is no JOB_COMPLETION_INDEX")
        jax.distributed.initialize(os.environ["JAX_COORDINATOR_ADDRESS"], int(count), int(index))
    elif "SLURM_STEP_NODELIST" in os.environ and int(told("SLURM_STEP_NUM_TASKS", told("SLURM_NTASKS", "1"))) > 1:
        jax.distributed.initialize()
    elif forced or "," in told("TPU_WORKER_HOSTNAMES", ""):
        jax.distributed.initialize()


class Devices:
    """All devices of all processes in one row, along which batches are divided."""

    def __init__(self, jax):
        self.jax = jax
        spec, sharding = jax.sharding.PartitionSpec, jax.sharding.NamedSharding
        self.mesh = jax.sharding.Mesh(np.array(jax.devices()), ("devices",))
        self.count = self.mesh.size
        self.divided = sharding(self.mesh, spec("devices"))
        self.everywhere = sharding(self.mesh, spec())
        self.first = jax.process_index() == 0
        self._gather = jax.jit(lambda x: x, out_shardings=self.everywhere)
        self._any = jax.jit(lambda flags: flags.any(), out_shardings=self.everywhere)

    def along(self, axis):
        """Divided along one axis of an array."""
        return self.jax.sharding.NamedSharding(self.mesh, self.jax.sharding.PartitionSpec(*[None] * axis, "devices"))

    def put(self, shape, sharding, part):
        """An array of all processes; `part` gives this one's parts of it, by their indices."""
        return self.jax.make_array_from_callback(shape, sharding, part)

    def whole(self, x):
        """An array, on this host, whichever devices and processes have its parts; all processes must ask."""
        return np.asarray(self._gather(x))

    def anyone(self, flag):
        """Whether `flag` is true in any process, without waiting for the answer."""
        return self._any(self.put((self.count,), self.divided, lambda index: np.full(np.arange(self.count)[index].shape, flag)))


    def agree(self, number):
        """Whether a number of 32 bits is the same in all processes."""
        told = self.whole(self.put((self.count,), self.divided, lambda index: np.full(np.arange(self.count)[index].shape, number, np.uint32)))
        return bool((told == told[0]).all())


def together(devices, task):
    """What comes of a task in this process. What one process cannot do, none goes on from: the others would wait for it."""
    fault, result = None, None
    try:
        result = task()
    except (Fault, ImportError, OSError, ValueError) as cause:
        fault = cause
    if devices.anyone(fault is not None):
        raise fault or Fault("another process could not begin, and says why")
    return result


def sharding_of(shape, devices, fsdp):
    """Where an array of the state lies: on every device, or divided along its longest axis that can be."""
    axes = [axis for axis, size in enumerate(shape) if size % devices.count == 0 and size > 0]
    if not fsdp or not axes:
        return devices.everywhere
    return devices.along(max(axes, key=lambda axis: shape[axis]))


# ---- Data ------------------------------------------------------------------------------------------------------------------------------------------


def open_pictures(path, what, trusted):
    """An array in a file, of which only what is asked for is read; `what` is what the run says that it is, with its digest."""
    described, _, digest = what.partition(", SHA-256 ")
    if not path.exists():
        raise Fault(f"there is no file {path}; say with --data where the images of the run are")
    array = np.load(path, mmap_mode="r")
    dtype = {"uint8": "u8", "float32": "f32"}.get(array.dtype.name, array.dtype.name)
    here = f"{dtype} [{', '.join(str(size) for size in array.shape)}]"
    if here != described or np.isfortran(array):
        raise Fault(f"{path} holds {here}; the run is of {described}, row after row")
    if not trusted:
        hashed = hashlib.sha256()
        rows = max(1, 2**24 // max(1, array[:1].nbytes))
        for start in range(0, len(array), rows):
            hashed.update(np.ascontiguousarray(array[start : start + rows]))
        if hashed.hexdigest() != digest:
            raise Fault(f"{path} holds other images than the run was begun with: their SHA-256 digests differ; name the right file with --data")
    return array


# ---- The log ---------------------------------------------------------------------------------------------------------------------------------------


class Log:
    """metrics.jsonl, a line a step, and what is shown meanwhile. Of a run that goes on, lines after its checkpoint are cut off."""

    def __init__(self, standing, steps, every):
        self.steps, self.every = steps, every
        self.shown = time.monotonic()
        # When the last steps were seen to be done.
        self.times = collections.deque([self.shown], maxlen=20)
        done = standing["step"]
        kept = [line for line in (LOG.read_text().splitlines() if LOG.exists() else []) if 0 < step_of(line) <= done]
        aside = LOG.with_name(f".{LOG.name}.{uuid.uuid4().hex[:12]}.partial")
        aside.write_text("".join(f"{line}\n" for line in kept))
        aside.replace(LOG)
        self.file = LOG.open("a")

    def step(self, line, batch_size):
        now = time.monotonic()
        self.times.append(now)
        line["imagesPerSecond"] = batch_size * (len(self.times) - 1) / max(1e-9, now - self.times[0])
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()
        if now - self.shown >= self.every or line["step"] in (1, self.steps):
            self.shown = now
            health = f"std {number(line['deviation'])}, |corr| {number(line['correlation'])}"
            say(f"step {line['step']}/{self.steps}: loss {number(line['loss'])}, {health}, {line['imagesPerSecond']:.0f} images/s")


def say(text):
    """Shows a line. If nobody reads any more, the training goes on without a word."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")


def number(value):
    return "no number" if value is None else f"{value:.4g}"


def step_of(line):
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 0


def measured(value):
    """A number as the log has it: null for what is none."""
    value = float(value)
    return value if math.isfinite(value) else None


# ---- Training --------------------------------------------------------------------------------------------------------------------------------------


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"takes a whole number from 1 on, got {text}")
    return value


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--until", type=positive, metavar="STEP", help="stop, and save, after this step (the last one)")
    parser.add_argument("--checkpoint-every", type=positive, default=100, metavar="N", help="steps between checkpoints")
    parser.add_argument("--fsdp", action="store_true", help="divide the state among the devices, instead of a copy on each")
    parser.add_argument("--data", nargs="+", metavar="FILE.npy", help="where the images are, and then their pairs, if not where the export says")
    parser.add_argument("--trust-data", action="store_true", help="do not hold the images to their digest, which reads all of them once")
    parser.add_argument("--distributed", action="store_true", help="several processes, whose number JAX finds out by itself (Cloud TPU)")
    parser.add_argument("--show-every", type=float, default=2, metavar="SECONDS", help="seconds between lines on the screen")
    return parser.parse_args()


class Run:
    """What is trained: the step, the state, where it stands, and the images."""

    def __init__(self, options, devices):
        import step

        self.devices = devices
        arrays, self.standing = read_checkpoint(CHECKPOINT)
        config = self.standing["config"]
        training = config["training"]
        self.batch_size, self.seed = training["batchSize"], training["seed"]
        if self.batch_size % devices.count != 0:
            fitting = [n for n in range(1, devices.count + 1) if self.batch_size % n == 0]
            raise Fault(
                f"{devices.count} devices do not divide a batch of {self.batch_size} into equal parts; "
                f"start with {' or '.join(map(str, fitting[-2:]))} of them"
            )
        known = {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
        if known != step.STATE:
            differing = sorted(name for name in known.keys() | step.STATE.keys() if known.get(name) != step.STATE.get(name))
            raise Fault(f"{CHECKPOINT} is not of the step in step.py: {differing[0]} differs; export the run anew")
        self.pictures = [name for name in step.BATCH if name != "indices"]
        told = json.loads((FOLDER / "data.json").read_text())
        places = [pathlib.Path(place).absolute() for place in options.data or []] or [each["file"] for each in told]
        identities = [each["array"] for each in told]
        if len(places) != len(self.pictures):
            raise Fault(f"--data takes {len(self.pictures)} files here, got {len(places)}")
        self.data = [open_pictures(FOLDER / place, what, options.trust_data) for place, what in zip(places, identities)]
        # What all processes must have alike, or their losses would be of no one run.
        given = [options.until, options.checkpoint_every, options.fsdp]
        alike = [CHECKPOINT.read_bytes(), (FOLDER / "step.py").read_bytes(), (FOLDER / "schedules.npy").read_bytes(), repr(given).encode()]
        self.mark = zlib.crc32(b"".join(hashlib.sha256(part).digest() for part in alike))
        self.steps_per_epoch = len(self.data[0]) // self.batch_size
        self.steps = self.steps_per_epoch * training["epochs"]
        self.schedules = np.load(FOLDER / "schedules.npy")
        shardings = {name: sharding_of(array.shape, devices, options.fsdp) for name, array in arrays.items()}
        self.state = {name: devices.put(array.shape, shardings[name], array.__getitem__) for name, array in arrays.items()}
        self.advance = devices.jax.jit(step.train_step, out_shardings=(shardings, devices.everywhere), donate_argnums=0)
        self.epoch, self.order = -1, None

    def batch(self, step):
        """The images of a step: of each, this process reads what its devices take."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self.epoch:
            self.epoch, self.order = epoch, permutation(len(self.data[0]), self.seed, epoch)
        rows = self.order[place * self.batch_size : (place + 1) * self.batch_size]
        put, divided = self.devices.put, self.devices.divided
        batch = {"indices": put(rows.shape, divided, rows.__getitem__)}
        for name, data in zip(self.pictures, self.data):
            batch[name] = put((len(rows), *data.shape[1:]), divided, lambda index, data=data: data[rows[index[0]]][(slice(None), *index[1:])])
        return batch

    def save(self, done):
        """All processes give their parts; the first one writes."""
        arrays = {name: self.devices.whole(array) for name, array in self.state.items()}
        epoch, batch = divmod(done, self.steps_per_epoch)
        self.standing = {**self.standing, "step": done, "epoch": epoch, "batch": batch}
        if self.devices.first:
            write_checkpoint(CHECKPOINT, arrays, self.standing)

    def line(self, step, metrics):
        """A step's line of the log."""
        measures = self.devices.jax.tree.map(measured, metrics)
        return {"step": step + 1, "epoch": step // self.steps_per_epoch, "learningRate": float(self.schedules[step][0]), **measures}


class Signals:
    """Notes what would end the process, so that it can save first. Asked twice, it ends at once."""

    def __init__(self):
        self.asked = 0
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, self._note)

    def _note(self, number, _frame):
        if self.asked:
            os._exit(128 + number)
        self.asked = number


def train(run, log, options, signals):
    """Trains to the end, or until one of the processes is asked to stop. Returns the number of steps done."""
    first, last = run.standing["step"], min(run.steps, options.until or run.steps)
    pending = None

    def settle():
        """Waits for the step before, so that the devices never wait for the host. Returns whether to stop."""
        step, metrics, asked = pending
        line = run.line(step, metrics)
        if log:
            log.step(line, run.batch_size)
        if line["loss"] is None:
            raise Fault(f"step {step + 1}: the loss is no number; the checkpoint of step {run.standing['step']}, the last good one, is kept")
        return bool(asked)

    for step in range(first, last):
        numbers = run.schedules[step]
        run.state, metrics = run.advance(run.state, run.batch(step), np.int32(step), *numbers)
        asked = run.devices.anyone(signals.asked > 0)
        stop = pending is not None and settle()
        pending = step, metrics, asked
        if stop or step + 1 == last or (step + 1) % options.checkpoint_every == 0:
            stop |= settle()
            pending = None
            run.save(step + 1)
        if stop:
            return step + 1
    return max(first, last)


def main():
    options = arguments()
    try:
        import jax
    except ImportError as cause:
        raise Fault(f"{cause}; pip install -r {FOLDER / 'requirements.txt'}") from cause
    try:
        join_processes(jax, options.distributed)
    except RuntimeError as cause:
        raise Fault(f"the processes do not find each other: {str(cause).splitlines()[0]}") from cause
    devices = Devices(jax)
    signals = Signals()
    with contextlib.ExitStack() as held:

        def opened():
            if devices.first:
                held.enter_context(locked(FOLDER))
            return Run(options, devices)

        run = together(devices, opened)
        if not devices.agree(run.mark):
            raise Fault("the processes were given different checkpoints, programs or options; give all of them one folder and one command")
        log = together(devices, lambda: Log(run.standing, run.steps, options.show_every) if devices.first else None)
        if devices.first:
            kinds = f"{devices.count} {jax.devices()[0].device_kind} in {jax.process_count()} process{'es' if jax.process_count() > 1 else ''}"
            say(f"{FOLDER.name}: step {run.standing['step']} of {run.steps}, batch {run.batch_size}, on {kinds}, JAX {jax.__version__}")
        done = train(run, log, options, signals)
        if devices.first:
            say(f"step {done} of {run.steps}: all is saved. Go on with python train.py, or tensegrity train --resume {FOLDER}")
        # The processes stop together, though one alone may have been asked to.
        return 128 + (signals.asked or signal.SIGTERM) if done < min(run.steps, options.until or run.steps) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except OSError as cause:
        sys.exit(f"train.py: {cause.filename or 'the system'}: {cause.strerror or cause}")
    except (Fault, ImportError) as cause:
        sys.exit(f"train.py: {cause}")
