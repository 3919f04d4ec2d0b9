// dispatches of one submit: 2; pieces of scratch memory: 1, 3072 bytes

// dispatch 0: kernel 0; 384×1 workgroups; b0 is input, b1 is piece 0
enable subgroups;
@group(0) @binding(0) var<storage, read> b0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;
struct State { s0: f32, s1: f32 }

fn merge(a: State, b: State) -> State { return State(a.s0 + b.s0, a.s1 + b.s1); }
var<workgroup> totals: array<State, 64>;

fn exchanged(a: State, distance: u32) -> State { return State(subgroupShuffleXor(a.s0, distance), subgroupShuffleXor(a.s1, distance)); }

fn reduceParts(group: i32, thread: i32) {
  let member = thread % 64;
  let part = group / 32;
  let o = group % 32 + thread / 64;
  var total = State(0f, 0f);
  if (o < 32) {
    let of0 = o * 196;
    let end = min(12544, (part + 1) * 1046);
    var r = part * 1046 + member;
    while (r < end) {
      var run = State(0f, 0f);
      let stop = min(end, r + 8192);
      for (; r < stop; r += 64) {
        let from0 = of0 + r / 196 * 6272 + r % 196;
        let v0 = b0[from0];
        let v1: f32 = v0 * v0;
        run = merge(run, State(v0, v1));
      }
      total = merge(total, run);
    }
  }
  totals[thread] = total;
  workgroupBarrier();
  for (var half = 32; half >= 32; half /= 2) {
    if (member < half) { totals[thread] = merge(totals[thread], totals[thread + half]); }
    workgroupBarrier();
  }
  total = totals[thread];
  total = merge(total, exchanged(total, 16u));
  total = merge(total, exchanged(total, 8u));
  total = merge(total, exchanged(total, 4u));
  total = merge(total, exchanged(total, 2u));
  total = merge(total, exchanged(total, 1u));
  if (member == 0 && o < 32) {
    b1[part * 32 + o] = total.s0;
    b1[384 + part * 32 + o] = total.s1;
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let group = i32(workgroup.x + workgroup.y * 65535u);
  let thread = i32(local);
  reduceParts(group, thread);
}

// dispatch 1: kernel 0; 1×1 workgroups; b0 is piece 0, b1 is output, b2 is output
@group(0) @binding(0) var<storage, read> b0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
struct State { s0: f32, s1: f32 }

fn merge(a: State, b: State) -> State { return State(a.s0 + b.s0, a.s1 + b.s1); }
var<workgroup> totals: array<State, 64>;

fn reduce(group: i32, thread: i32) {
  let member = thread / 32;
  let part = group;
  let o = group % 1 * 32 + thread % 32;
  var total = State(0f, 0f);
  if (o < 32) {
    let end = min(12, (part + 1) * 12);
    var r = part * 12 + member;
    while (r < end) {
      var run = State(0f, 0f);
      let stop = min(end, r + 256);
      for (; r < stop; r += 2) {
        run = merge(run, State(b0[r * 32 + o], b0[384 + r * 32 + o]));
      }
      total = merge(total, run);
    }
  }
  totals[thread] = total;
  workgroupBarrier();
  for (var half = 1; half >= 1; half /= 2) {
    if (member < half) { totals[thread] = merge(totals[thread], totals[thread + half * 32]); }
    workgroupBarrier();
  }
  total = totals[thread];
  if (member == 0 && o < 32) {
    let to0 = o;
    let to1 = o;
    b1[to0] = total.s0;
    b2[to1] = total.s1;
  }
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let group = i32(workgroup.x + workgroup.y * 65535u);
  let thread = i32(local);
  reduce(group, thread);
}
