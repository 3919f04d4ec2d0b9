#!/usr/bin/env bash
# A Slurm cluster of one machine, on which the jobs of docs/cluster.md run: Debian's slurm-wlm (slurmctld, slurmd, munge), all of it in a folder under /tmp.
#
#   apt-get install slurm-wlm && npm run build && TENSEGRITY_JAX=venv/bin/python scripts/slurm.sh
#
# 1. embed.slurm over 4 shards, of which one is killed and queued again: the joined file is that of one process, to the bit.
# 2. train.slurm on two tasks of two devices each, asked to stop on the way, which saves and is queued again: its losses are those of one process.
# Without TENSEGRITY_JAX, a Python that has JAX, the second is left out, and said.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
place=$(mktemp -d /tmp/tensegrity-slurm-XXXXXX)
node=$root/node_modules/.bin/node
export PATH=$place/bin:$PATH:/usr/sbin SLURM_CONF=$place/slurm.conf
pids=()

leave() {
  status=$?
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  if [ "$status" -eq 0 ]; then rm -rf "$place"; else echo "failed; what was said is in $place"; fi
}
trap leave EXIT

for program in munged slurmctld slurmd sbatch; do
  command -v "$program" >/dev/null || { echo "there is no $program here; apt-get install slurm-wlm"; exit 2; }
done

say() { echo "$(date +%T) $*"; }

# ---- The cluster ----
mkdir -p "$place"/{bin,state,spool,munge,jobs}
chmod 700 "$place/munge"
head -c 128 /dev/urandom >"$place/munge/key"
chmod 400 "$place/munge/key"
munged --foreground --force --key-file="$place/munge/key" --socket="$place/munge.socket" --pid-file="$place/munge/pid" \
  --log-file="$place/munge/log" --seed-file="$place/munge/seed" 2>"$place/munge/err" &
pids+=($!)
host=$(hostname -s)
cat >"$SLURM_CONF" <<END
ClusterName=one
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
# A job that is queued again waits until the credentials of its first start are void.
AuthInfo=socket=$place/munge.socket,cred_expire=5
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
JobRequeue=1
MinJobAge=3600
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=2048 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
for _ in $(seq 50); do [ -S "$place/munge.socket" ] && break; sleep 0.1; done
slurmctld -D 2>"$place/slurmctld.err" &
pids+=($!)
slurmd -D 2>"$place/slurmd.err" &
pids+=($!)
for _ in $(seq 100); do [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ] && break; sleep 0.2; done
say "Slurm $(sinfo --version | cut -d' ' -f2) on $(sinfo --noheader --format='%n, %c CPUs, %t')"

state() { scontrol show job "$1" 2>/dev/null | grep -o 'JobState=[A-Z_]*' | cut -d= -f2 | sort | uniq -c | tr -s ' \n' ' '; }
# Waits until a job, all of its array, has ended well.
finished() {
  for _ in $(seq 1200); do
    case $(state "$1") in
      *PENDING* | *RUNNING* | *COMPLETING* | *REQUEUE*) sleep 0.5 ;;
      *FAILED* | *CANCELLED* | *TIMEOUT* | *NODE_FAIL*) say "job $1: $(state "$1")"; return 1 ;;
      *) return 0 ;;
    esac
  done
  return 1
}

# ---- 1. Embedding in shards ----
cd "$place/jobs"
cat >"$place/bin/tensegrity" <<END
#!/usr/bin/env bash
# The first start of one task is killed on the way.
if [ "\${SLURM_ARRAY_TASK_ID:-}" = 2 ] && [ "\${SLURM_RESTART_COUNT:-0}" = 0 ] && [ "\$1" = embed ]; then
  "$node" "$root/dist/cli/main.js" "\$@" & sleep 0.5; kill -9 \$!; exit 137
fi
exec "$node" "$root/dist/cli/main.js" "\$@"
END
chmod +x "$place/bin/tensegrity"
images="$place/images.npy"
tensegrity train --recipe reference --epochs 1 --no-eval --quiet --out "$place/run" 2>/dev/null
"$node" --input-type=module -e '
  const { loadDataset, writeArray } = await import(process.argv[1]);
  await writeArray(process.argv[2], (await loadDataset("fashion-mnist-subset")).train.images);
' "$root/dist/models/node.js" "$images"
weights="$place/run/encoder.safetensors"
tensegrity embed --weights "$weights" "$images" --out "$place/whole.npy" --deterministic >/dev/null
job=$(sbatch --parsable --array=0-3 --cpus-per-task=1 --mem=0 "$root/examples/cluster/embed.slurm" "$weights" "$images" "$place/z.npy")
for _ in $(seq 600); do [ "$(state "${job}_2")" = ' 1 FAILED ' ] && break; sleep 0.2; done
say "embed, job $job: task 2 was killed ($(scontrol show job "${job}_2" | grep -o 'ExitCode=[0-9:]*'))"
[ ! -e "$place/z.npy" ] || { say 'joined without it'; exit 1; }
scontrol requeue "${job}_2"
finished "$job"
cat slurm-"${job}"_*.out | sed 's/^/  /'
cmp "$place/z.npy" "$place/whole.npy"
say "embed, job $job:$(state "$job"); z.npy of 4 shards equals that of one process to the bit ($(stat -c %s "$place/z.npy") bytes)"

# ---- 2. Training ----
python=${TENSEGRITY_JAX:-}
[ -n "$python" ] || { say 'train: left out, since TENSEGRITY_JAX does not name a Python with JAX'; exit 0; }
# Not a link: a virtual environment is found by where its Python was called.
printf '#!/bin/sh\nexec "%s" "$@"\n' "$(realpath -s "$python")" >"$place/bin/python"
chmod +x "$place/bin/python"
export XLA_FLAGS=--xla_force_host_platform_device_count=2 JAX_COMPILATION_CACHE_DIR=$place/cache
tensegrity train --batch 64 --recipe reference --epochs 1 --checkpoint-every 20 --no-eval --quiet --json --out "$place/begun" >"$place/begun.log" 2>&1 &
begun=$!
for _ in $(seq 600); do [ -e "$place/begun/checkpoint.safetensors" ] && break; sleep 0.1; done
kill -INT "$begun"
wait "$begun" || true
tensegrity export "$place/begun" --to jax --out "$place/there" >/dev/null
from=$(python -c 'import sys; sys.path.insert(0, sys.argv[1]); import train; print(train.read_checkpoint(train.CHECKPOINT)[1]["step"])' "$place/there")
cp -r "$place/there" "$place/alone"
job=$(sbatch --parsable --nodes=1 --ntasks-per-node=2 --gpus-per-task=0 --cpus-per-task=1 --chdir="$place/there" --output="$place/jobs/train.out" "$place/there/train.slurm" --until 60)
for _ in $(seq 2400); do [ "$(wc -l <"$place/there/metrics.jsonl")" -ge $((from + 5)) ] && break; sleep 0.1; done
scancel --signal=TERM "$job"
finished "$job"
sed 's/^/  /' "$place/jobs/train.out"
python "$place/alone/train.py" --until 60 --show-every 60 >"$place/alone.log"
python - "$place/there" "$place/alone" "$from" <<'END'
import json, sys
losses = [[json.loads(line)["loss"] for line in open(f"{folder}/metrics.jsonl")] for folder in sys.argv[1:3]]
assert len(losses[0]) == len(losses[1]), [len(part) for part in losses]
apart = [abs(a - b) / abs(b) for a, b in zip(*losses)]
first = int(sys.argv[3])
print(f"  losses of two tasks and of one, steps {first + 1} to {len(apart)}: {max(apart[: first + 15]):.0e} apart in the first 15, {max(apart):.0e} in all")
# What rounding leaves grows from step to step.
assert max(apart[: first + 15]) < 1e-5 and max(apart) < 1e-2
END
say "train, job $job:$(state "$job")"
