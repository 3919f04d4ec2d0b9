// dispatches of one submit: 1; pieces of scratch memory: 0, 0 bytes

// dispatch 0: kernel 0; 392×1 workgroups; b0 is input, b1 is input, b2 is input, b3 is output
@group(0) @binding(0) var<storage, read> b0: array<f32>;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read_write> b3: array<f32>;

fn map(group: i32, thread: i32) {
  let i = group * 64 + thread;
  if (i >= 25088) { return; }
  let from0 = i;
  let from1 = i / 49 % 32;
  let from2 = i / 49 % 32;
  let v0 = b0[from0];
  let v1 = b1[from1];
  let v2 = b2[from2];
  let v3: f32 = v0 * v1;
  let v4: f32 = v3 + v2;
  let v5: f32 = select(v4, 0.0, v4 < 0.0);
  let to0 = i;
  b3[to0] = v5;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let group = i32(workgroup.x + workgroup.y * 65535u);
  let thread = i32(local);
  map(group, thread);
}
