// dispatches of one submit: 1; pieces of scratch memory: 0, 0 bytes

// dispatch 0: kernels 0, 1, 2; 14×1 workgroups; b0 is slot, b1 is input, b2 is input, b3 is slot, b4 is input, b5 is slot, b6 is input
@group(0) @binding(0) var<storage, read_write> b0: array<f32>;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read_write> b3: array<f32>;
@group(0) @binding(4) var<storage, read> b4: array<f32>;
@group(0) @binding(5) var<storage, read_write> b5: array<f32>;
@group(0) @binding(6) var<storage, read> b6: array<f32>;

fn map0(group: i32, thread: i32) {
  let i = group * 64 + thread;
  if (i >= 512) { return; }
  let from0 = i;
  let from1 = i;
  let from2 = 0;
  let v0 = b0[from0];
  let v1 = b1[from1];
  let v2 = b2[from2];
  let v3: f32 = v1 * v2;
  let v4: f32 = v0 - v3;
  let to0 = i;
  b0[to0] = v4;
}

fn map1(group: i32, thread: i32) {
  let i = group * 64 + thread;
  if (i >= 32) { return; }
  let from0 = i;
  let from1 = i;
  let from2 = 0;
  let v0 = b3[from0];
  let v1 = b4[from1];
  let v2 = b2[from2];
  let v3: f32 = v1 * v2;
  let v4: f32 = v0 - v3;
  let to0 = i;
  b3[to0] = v4;
}

fn map2(group: i32, thread: i32) {
  let i = group * 64 + thread;
  if (i >= 288) { return; }
  let from0 = i;
  let from1 = i;
  let from2 = 0;
  let v0 = b5[from0];
  let v1 = b6[from1];
  let v2 = b2[from2];
  let v3: f32 = v1 * v2;
  let v4: f32 = v0 - v3;
  let to0 = i;
  b5[to0] = v4;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let group = i32(workgroup.x + workgroup.y * 65535u);
  let thread = i32(local);
  if (group < 8) { map0(group, thread); return; }
  if (group < 9) { map1(group - 8, thread); return; }
  map2(group - 9, thread);
}
