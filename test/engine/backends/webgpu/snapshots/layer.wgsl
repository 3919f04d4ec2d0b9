// dispatches of one submit: 2; pieces of scratch memory: 1, 3670016 bytes

// dispatch 0: kernel 0; 224×1 workgroups; b0 is input, b1 is input, b2 is piece 0
@group(0) @binding(0) var<storage, read> b0: array<f32>;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
var<workgroup> left: array<vec4<f32>, 272>;
var<workgroup> right: array<vec4<f32>, 272>;

fn finish(part: i32, batch: i32, row: i32, column: i32, total: f32) {
  b2[part * 131072 + row * 512 + column] = total;
}

fn matmul(group: i32, thread: i32) {
  let firstColumn = group % 8 * 64;
  let firstRow = group / 8 % 4 * 64;
  let part = group / 32 % 7;
  let batch = group / 224;
  let begin = part * 112;
  let stop = min(784, (part + 1) * 112);
  let x = thread % 16;
  let y = thread / 16;
  var sum0_0 = vec4<f32>();
  var sum1_0 = vec4<f32>();
  var sum2_0 = vec4<f32>();
  var sum3_0 = vec4<f32>();
  let leftLine0 = firstRow + thread / 16;
  let left0_0At = (leftLine0) * 784;
  let rightLine0 = firstColumn + thread % 16;
  let right0_0At = (rightLine0);
  var next = begin;
  var leftVector0 = vec4<f32>();
  var rightVector0 = vec4<f32>();
  let leftInner0 = next + thread % 16;
  let leftInner0At = leftInner0;
  leftVector0 = vec4<f32>(
    b0[left0_0At + leftInner0At],
    b0[left0_0At + leftInner0At + 12544],
    b0[left0_0At + leftInner0At + 25088],
    b0[left0_0At + leftInner0At + 37632]);
  let rightInner0 = next + thread / 16;
  let rightInner0At = rightInner0 * 512;
  rightVector0 = vec4<f32>(
    b1[right0_0At + rightInner0At],
    b1[right0_0At + rightInner0At + 16],
    b1[right0_0At + rightInner0At + 32],
    b1[right0_0At + rightInner0At + 48]);
  for (var start = begin; start < stop; start += 16) {
    left[(thread % 16) * 17 + thread / 16] = leftVector0;
    right[(thread / 16) * 17 + thread % 16] = rightVector0;
    workgroupBarrier();
    next = min(start + 16, stop - 16);
    let leftInner0 = next + thread % 16;
    let leftInner0At = leftInner0;
    leftVector0 = vec4<f32>(
      b0[left0_0At + leftInner0At],
      b0[left0_0At + leftInner0At + 12544],
      b0[left0_0At + leftInner0At + 25088],
      b0[left0_0At + leftInner0At + 37632]);
    let rightInner0 = next + thread / 16;
    let rightInner0At = rightInner0 * 512;
    rightVector0 = vec4<f32>(
      b1[right0_0At + rightInner0At],
      b1[right0_0At + rightInner0At + 16],
      b1[right0_0At + rightInner0At + 32],
      b1[right0_0At + rightInner0At + 48]);
    let left0_0 = left[y];
    let right0_0 = right[x];
    sum0_0 += left0_0.x * right0_0;
    sum1_0 += left0_0.y * right0_0;
    sum2_0 += left0_0.z * right0_0;
    sum3_0 += left0_0.w * right0_0;
    let left1_0 = left[y + 17];
    let right1_0 = right[x + 17];
    sum0_0 += left1_0.x * right1_0;
    sum1_0 += left1_0.y * right1_0;
    sum2_0 += left1_0.z * right1_0;
    sum3_0 += left1_0.w * right1_0;
    let left2_0 = left[y + 34];
    let right2_0 = right[x + 34];
    sum0_0 += left2_0.x * right2_0;
    sum1_0 += left2_0.y * right2_0;
    sum2_0 += left2_0.z * right2_0;
    sum3_0 += left2_0.w * right2_0;
    let left3_0 = left[y + 51];
    let right3_0 = right[x + 51];
    sum0_0 += left3_0.x * right3_0;
    sum1_0 += left3_0.y * right3_0;
    sum2_0 += left3_0.z * right3_0;
    sum3_0 += left3_0.w * right3_0;
    let left4_0 = left[y + 68];
    let right4_0 = right[x + 68];
    sum0_0 += left4_0.x * right4_0;
    sum1_0 += left4_0.y * right4_0;
    sum2_0 += left4_0.z * right4_0;
    sum3_0 += left4_0.w * right4_0;
    let left5_0 = left[y + 85];
    let right5_0 = right[x + 85];
    sum0_0 += left5_0.x * right5_0;
    sum1_0 += left5_0.y * right5_0;
    sum2_0 += left5_0.z * right5_0;
    sum3_0 += left5_0.w * right5_0;
    let left6_0 = left[y + 102];
    let right6_0 = right[x + 102];
    sum0_0 += left6_0.x * right6_0;
    sum1_0 += left6_0.y * right6_0;
    sum2_0 += left6_0.z * right6_0;
    sum3_0 += left6_0.w * right6_0;
    let left7_0 = left[y + 119];
    let right7_0 = right[x + 119];
    sum0_0 += left7_0.x * right7_0;
    sum1_0 += left7_0.y * right7_0;
    sum2_0 += left7_0.z * right7_0;
    sum3_0 += left7_0.w * right7_0;
    let left8_0 = left[y + 136];
    let right8_0 = right[x + 136];
    sum0_0 += left8_0.x * right8_0;
    sum1_0 += left8_0.y * right8_0;
    sum2_0 += left8_0.z * right8_0;
    sum3_0 += left8_0.w * right8_0;
    let left9_0 = left[y + 153];
    let right9_0 = right[x + 153];
    sum0_0 += left9_0.x * right9_0;
    sum1_0 += left9_0.y * right9_0;
    sum2_0 += left9_0.z * right9_0;
    sum3_0 += left9_0.w * right9_0;
    let left10_0 = left[y + 170];
    let right10_0 = right[x + 170];
    sum0_0 += left10_0.x * right10_0;
    sum1_0 += left10_0.y * right10_0;
    sum2_0 += left10_0.z * right10_0;
    sum3_0 += left10_0.w * right10_0;
    let left11_0 = left[y + 187];
    let right11_0 = right[x + 187];
    sum0_0 += left11_0.x * right11_0;
    sum1_0 += left11_0.y * right11_0;
    sum2_0 += left11_0.z * right11_0;
    sum3_0 += left11_0.w * right11_0;
    let left12_0 = left[y + 204];
    let right12_0 = right[x + 204];
    sum0_0 += left12_0.x * right12_0;
    sum1_0 += left12_0.y * right12_0;
    sum2_0 += left12_0.z * right12_0;
    sum3_0 += left12_0.w * right12_0;
    let left13_0 = left[y + 221];
    let right13_0 = right[x + 221];
    sum0_0 += left13_0.x * right13_0;
    sum1_0 += left13_0.y * right13_0;
    sum2_0 += left13_0.z * right13_0;
    sum3_0 += left13_0.w * right13_0;
    let left14_0 = left[y + 238];
    let right14_0 = right[x + 238];
    sum0_0 += left14_0.x * right14_0;
    sum1_0 += left14_0.y * right14_0;
    sum2_0 += left14_0.z * right14_0;
    sum3_0 += left14_0.w * right14_0;
    let left15_0 = left[y + 255];
    let right15_0 = right[x + 255];
    sum0_0 += left15_0.x * right15_0;
    sum1_0 += left15_0.y * right15_0;
    sum2_0 += left15_0.z * right15_0;
    sum3_0 += left15_0.w * right15_0;
    workgroupBarrier();
  }
  var sums = array<vec4<f32>, 4>(sum0_0, sum1_0, sum2_0, sum3_0);
  for (var k = 0; k < 16; k++) {
    let row = firstRow + y + ((k / 4) >> 2u) * 16 + ((k / 4) & 3) * 16;
    let column = firstColumn + x + ((k % 4) >> 2u) * 16 + ((k % 4) & 3) * 16;
    finish(part, batch, row, column, sums[k >> 2u][k & 3]);
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let group = i32(workgroup.x + workgroup.y * 65535u);
  let thread = i32(local);
  matmul(group, thread);
}

// dispatch 1: kernel 0; 2048×1 workgroups; b0 is piece 0, b1 is output, b2 is input
@group(0) @binding(0) var<storage, read> b0: array<f32>;
@group(0) @binding(1) var<storage, read_write> b1: array<f32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;

fn finish(part: i32, batch: i32, row: i32, column: i32, total: f32) {
  let i = row * 512 + column;
  let from0 = i;
  let from1 = i % 512;
  let v0 = total;
  let v1 = b2[from1];
  let v2: f32 = v0 + v1;
  let v3: f32 = select(v2, 0.0, v2 < 0.0);
  b1[row * 512 + column] = v3;
}

fn matmulSum(group: i32, thread: i32) {
  let i = group * 64 + thread;
  if (i >= 131072) { return; }
  let batch = i / 131072;
  let row = i / 512 % 256;
  let column = i % 512;
  var total = 0.0;
  for (var part = 0; part < 7; part++) { total += b0[part * 131072 + i]; }
  finish(0, batch, row, column, total);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let group = i32(workgroup.x + workgroup.y * 65535u);
  let thread = i32(local);
  matmulSum(group, thread);
}
