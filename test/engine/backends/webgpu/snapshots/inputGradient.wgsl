// dispatches of one submit: 1; pieces of scratch memory: 0, 0 bytes

// dispatch 0: kernel 0; 28×1 workgroups; b0 is input, b1 is input, b2 is output
@group(0) @binding(0) var<storage, read> b0: array<f32>;
@group(0) @binding(1) var<storage, read> b1: array<f32>;
@group(0) @binding(2) var<storage, read_write> b2: array<f32>;
var<workgroup> left: array<vec4<f32>, 272>;
var<workgroup> right: array<vec4<f32>, 272>;

fn finish(part: i32, batch: i32, row: i32, column: i32, total: f32) {
  if (row >= 16 || column >= 392) { return; }
  let n = column / 49;
  let h = column / 7 % 7 * 2;
  let w = column % 7 * 2;
  b2[n * 3136 + row * 196 + h * 14 + w] = total;
}

fn finish_1(part: i32, batch: i32, row: i32, column: i32, total: f32) {
  if (row >= 16 || column >= 392) { return; }
  let n = column / 49;
  let h = column / 7 % 7 * 2;
  let w = column % 7 * 2 + 1;
  b2[n * 3136 + row * 196 + h * 14 + w] = total;
}

fn finish_2(part: i32, batch: i32, row: i32, column: i32, total: f32) {
  if (row >= 16 || column >= 392) { return; }
  let n = column / 49;
  let h = column / 7 % 7 * 2 + 1;
  let w = column % 7 * 2;
  b2[n * 3136 + row * 196 + h * 14 + w] = total;
}

fn finish_3(part: i32, batch: i32, row: i32, column: i32, total: f32) {
  if (row >= 16 || column >= 392) { return; }
  let n = column / 49;
  let h = column / 7 % 7 * 2 + 1;
  let w = column % 7 * 2 + 1;
  b2[n * 3136 + row * 196 + h * 14 + w] = total;
}

fn conv_input0(group: i32, thread: i32) {
  let firstColumn = group % 7 * 64;
  let firstRow = group / 7 % 1 * 64;
  let part = group / 7 % 1;
  let batch = group / 7;
  let begin = part * 32;
  let stop = 32;
  let x = thread % 16;
  let y = thread / 16;
  var sum0_0 = vec4<f32>();
  var sum1_0 = vec4<f32>();
  var sum2_0 = vec4<f32>();
  var sum3_0 = vec4<f32>();
  let leftLine0 = firstRow + thread % 16;
  let left0_0At = 4 + (leftLine0) * 9;
  let rightLine0 = firstColumn + thread % 16;
  let right0_0Y = (rightLine0) / 7 % 7;
  let right0_0X = (rightLine0) % 7;
  let right0_0At = batch * 1568 + (rightLine0) / 49 * 1568 + right0_0Y * 7 + right0_0X;
  let right0_1Y = (rightLine0 + 16) / 7 % 7;
  let right0_1X = (rightLine0 + 16) % 7;
  let right0_1At = batch * 1568 + (rightLine0 + 16) / 49 * 1568 + right0_1Y * 7 + right0_1X;
  let right0_2Y = (rightLine0 + 32) / 7 % 7;
  let right0_2X = (rightLine0 + 32) % 7;
  let right0_2At = batch * 1568 + (rightLine0 + 32) / 49 * 1568 + right0_2Y * 7 + right0_2X;
  let right0_3Y = (rightLine0 + 48) / 7 % 7;
  let right0_3X = (rightLine0 + 48) % 7;
  let right0_3At = batch * 1568 + (rightLine0 + 48) / 49 * 1568 + right0_3Y * 7 + right0_3X;
  var next = begin;
  var leftVector0 = vec4<f32>();
  var rightVector0 = vec4<f32>();
  let leftInner0 = next + thread / 16;
  let leftInner0At = leftInner0 * 144;
  leftVector0 = vec4<f32>(
    select(0.0, b0[left0_0At + leftInner0At], leftLine0 + 0 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 144], leftLine0 + 16 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 288], leftLine0 + 32 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 432], leftLine0 + 48 < 16));
  let rightInner0 = next + thread / 16;
  let rightInner0Y = rightInner0 % 1 * -1;
  let rightInner0X = rightInner0 % 1 * -1;
  let rightInner0At = rightInner0 * 49 + rightInner0Y * 7 + rightInner0X;
  rightVector0 = vec4<f32>(
    select(0.0, b1[right0_0At + rightInner0At], rightLine0 + 0 < 392),
    select(0.0, b1[right0_1At + rightInner0At], rightLine0 + 16 < 392),
    select(0.0, b1[right0_2At + rightInner0At], rightLine0 + 32 < 392),
    select(0.0, b1[right0_3At + rightInner0At], rightLine0 + 48 < 392));
  for (var start = begin; start < stop; start += 16) {
    left[(thread / 16) * 17 + thread % 16] = leftVector0;
    right[(thread / 16) * 17 + thread % 16] = rightVector0;
    workgroupBarrier();
    next = min(start + 16, stop - 16);
    let leftInner0 = next + thread / 16;
    let leftInner0At = leftInner0 * 144;
    leftVector0 = vec4<f32>(
      select(0.0, b0[left0_0At + leftInner0At], leftLine0 + 0 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 144], leftLine0 + 16 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 288], leftLine0 + 32 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 432], leftLine0 + 48 < 16));
    let rightInner0 = next + thread / 16;
    let rightInner0Y = rightInner0 % 1 * -1;
    let rightInner0X = rightInner0 % 1 * -1;
    let rightInner0At = rightInner0 * 49 + rightInner0Y * 7 + rightInner0X;
    rightVector0 = vec4<f32>(
      select(0.0, b1[right0_0At + rightInner0At], rightLine0 + 0 < 392),
      select(0.0, b1[right0_1At + rightInner0At], rightLine0 + 16 < 392),
      select(0.0, b1[right0_2At + rightInner0At], rightLine0 + 32 < 392),
      select(0.0, b1[right0_3At + rightInner0At], rightLine0 + 48 < 392));
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

fn conv_input1(group: i32, thread: i32) {
  let firstColumn = group % 7 * 64;
  let firstRow = group / 7 % 1 * 64;
  let part = group / 7 % 1;
  let batch = group / 7;
  let begin = part * 64;
  let stop = 64;
  let x = thread % 16;
  let y = thread / 16;
  var sum0_0 = vec4<f32>();
  var sum1_0 = vec4<f32>();
  var sum2_0 = vec4<f32>();
  var sum3_0 = vec4<f32>();
  let leftLine0 = firstRow + thread / 16;
  let left0_0At = 3 + (leftLine0) * 9;
  let rightLine0 = firstColumn + thread % 16;
  let right0_0Y = (rightLine0) / 7 % 7;
  let right0_0X = (rightLine0) % 7 - -1;
  let right0_0At = batch * 1568 + (rightLine0) / 49 * 1568 + right0_0Y * 7 + right0_0X;
  let right0_1Y = (rightLine0 + 16) / 7 % 7;
  let right0_1X = (rightLine0 + 16) % 7 - -1;
  let right0_1At = batch * 1568 + (rightLine0 + 16) / 49 * 1568 + right0_1Y * 7 + right0_1X;
  let right0_2Y = (rightLine0 + 32) / 7 % 7;
  let right0_2X = (rightLine0 + 32) % 7 - -1;
  let right0_2At = batch * 1568 + (rightLine0 + 32) / 49 * 1568 + right0_2Y * 7 + right0_2X;
  let right0_3Y = (rightLine0 + 48) / 7 % 7;
  let right0_3X = (rightLine0 + 48) % 7 - -1;
  let right0_3At = batch * 1568 + (rightLine0 + 48) / 49 * 1568 + right0_3Y * 7 + right0_3X;
  var next = begin;
  var leftVector0 = vec4<f32>();
  var rightVector0 = vec4<f32>();
  let leftInner0 = next + thread % 16;
  let leftInner0At = leftInner0 / 2 * 144 + leftInner0 % 2 * 2;
  leftVector0 = vec4<f32>(
    select(0.0, b0[left0_0At + leftInner0At], leftLine0 + 0 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 144], leftLine0 + 16 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 288], leftLine0 + 32 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 432], leftLine0 + 48 < 16));
  let rightInner0 = next + thread / 16;
  let rightInner0Y = rightInner0 / 2 % 1 * -1;
  let rightInner0X = rightInner0 % 2 * -1;
  let rightInner0At = rightInner0 / 2 * 49 + rightInner0Y * 7 + rightInner0X;
  rightVector0 = vec4<f32>(
    select(0.0, b1[right0_0At + rightInner0At], rightLine0 + 0 < 392 && u32(right0_0Y + rightInner0Y) < 7u && u32(right0_0X + rightInner0X) < 7u),
    select(0.0, b1[right0_1At + rightInner0At], rightLine0 + 16 < 392 && u32(right0_1Y + rightInner0Y) < 7u && u32(right0_1X + rightInner0X) < 7u),
    select(0.0, b1[right0_2At + rightInner0At], rightLine0 + 32 < 392 && u32(right0_2Y + rightInner0Y) < 7u && u32(right0_2X + rightInner0X) < 7u),
    select(0.0, b1[right0_3At + rightInner0At], rightLine0 + 48 < 392 && u32(right0_3Y + rightInner0Y) < 7u && u32(right0_3X + rightInner0X) < 7u));
  for (var start = begin; start < stop; start += 16) {
    left[(thread % 16) * 17 + thread / 16] = leftVector0;
    right[(thread / 16) * 17 + thread % 16] = rightVector0;
    workgroupBarrier();
    next = min(start + 16, stop - 16);
    let leftInner0 = next + thread % 16;
    let leftInner0At = leftInner0 / 2 * 144 + leftInner0 % 2 * 2;
    leftVector0 = vec4<f32>(
      select(0.0, b0[left0_0At + leftInner0At], leftLine0 + 0 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 144], leftLine0 + 16 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 288], leftLine0 + 32 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 432], leftLine0 + 48 < 16));
    let rightInner0 = next + thread / 16;
    let rightInner0Y = rightInner0 / 2 % 1 * -1;
    let rightInner0X = rightInner0 % 2 * -1;
    let rightInner0At = rightInner0 / 2 * 49 + rightInner0Y * 7 + rightInner0X;
    rightVector0 = vec4<f32>(
      select(0.0, b1[right0_0At + rightInner0At], rightLine0 + 0 < 392 && u32(right0_0Y + rightInner0Y) < 7u && u32(right0_0X + rightInner0X) < 7u),
      select(0.0, b1[right0_1At + rightInner0At], rightLine0 + 16 < 392 && u32(right0_1Y + rightInner0Y) < 7u && u32(right0_1X + rightInner0X) < 7u),
      select(0.0, b1[right0_2At + rightInner0At], rightLine0 + 32 < 392 && u32(right0_2Y + rightInner0Y) < 7u && u32(right0_2X + rightInner0X) < 7u),
      select(0.0, b1[right0_3At + rightInner0At], rightLine0 + 48 < 392 && u32(right0_3Y + rightInner0Y) < 7u && u32(right0_3X + rightInner0X) < 7u));
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
    finish_1(part, batch, row, column, sums[k >> 2u][k & 3]);
  }
}

fn conv_input2(group: i32, thread: i32) {
  let firstColumn = group % 7 * 64;
  let firstRow = group / 7 % 1 * 64;
  let part = group / 7 % 1;
  let batch = group / 7;
  let begin = part * 64;
  let stop = 64;
  let x = thread % 16;
  let y = thread / 16;
  var sum0_0 = vec4<f32>();
  var sum1_0 = vec4<f32>();
  var sum2_0 = vec4<f32>();
  var sum3_0 = vec4<f32>();
  let leftLine0 = firstRow + thread / 16;
  let left0_0At = 1 + (leftLine0) * 9;
  let rightLine0 = firstColumn + thread % 16;
  let right0_0Y = (rightLine0) / 7 % 7 - -1;
  let right0_0X = (rightLine0) % 7;
  let right0_0At = batch * 1568 + (rightLine0) / 49 * 1568 + right0_0Y * 7 + right0_0X;
  let right0_1Y = (rightLine0 + 16) / 7 % 7 - -1;
  let right0_1X = (rightLine0 + 16) % 7;
  let right0_1At = batch * 1568 + (rightLine0 + 16) / 49 * 1568 + right0_1Y * 7 + right0_1X;
  let right0_2Y = (rightLine0 + 32) / 7 % 7 - -1;
  let right0_2X = (rightLine0 + 32) % 7;
  let right0_2At = batch * 1568 + (rightLine0 + 32) / 49 * 1568 + right0_2Y * 7 + right0_2X;
  let right0_3Y = (rightLine0 + 48) / 7 % 7 - -1;
  let right0_3X = (rightLine0 + 48) % 7;
  let right0_3At = batch * 1568 + (rightLine0 + 48) / 49 * 1568 + right0_3Y * 7 + right0_3X;
  var next = begin;
  var leftVector0 = vec4<f32>();
  var rightVector0 = vec4<f32>();
  let leftInner0 = next + thread % 16;
  let leftInner0At = leftInner0 / 2 * 144 + leftInner0 % 2 * 6;
  leftVector0 = vec4<f32>(
    select(0.0, b0[left0_0At + leftInner0At], leftLine0 + 0 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 144], leftLine0 + 16 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 288], leftLine0 + 32 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 432], leftLine0 + 48 < 16));
  let rightInner0 = next + thread / 16;
  let rightInner0Y = rightInner0 % 2 * -1;
  let rightInner0X = rightInner0 % 1 * -1;
  let rightInner0At = rightInner0 / 2 * 49 + rightInner0Y * 7 + rightInner0X;
  rightVector0 = vec4<f32>(
    select(0.0, b1[right0_0At + rightInner0At], rightLine0 + 0 < 392 && u32(right0_0Y + rightInner0Y) < 7u && u32(right0_0X + rightInner0X) < 7u),
    select(0.0, b1[right0_1At + rightInner0At], rightLine0 + 16 < 392 && u32(right0_1Y + rightInner0Y) < 7u && u32(right0_1X + rightInner0X) < 7u),
    select(0.0, b1[right0_2At + rightInner0At], rightLine0 + 32 < 392 && u32(right0_2Y + rightInner0Y) < 7u && u32(right0_2X + rightInner0X) < 7u),
    select(0.0, b1[right0_3At + rightInner0At], rightLine0 + 48 < 392 && u32(right0_3Y + rightInner0Y) < 7u && u32(right0_3X + rightInner0X) < 7u));
  for (var start = begin; start < stop; start += 16) {
    left[(thread % 16) * 17 + thread / 16] = leftVector0;
    right[(thread / 16) * 17 + thread % 16] = rightVector0;
    workgroupBarrier();
    next = min(start + 16, stop - 16);
    let leftInner0 = next + thread % 16;
    let leftInner0At = leftInner0 / 2 * 144 + leftInner0 % 2 * 6;
    leftVector0 = vec4<f32>(
      select(0.0, b0[left0_0At + leftInner0At], leftLine0 + 0 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 144], leftLine0 + 16 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 288], leftLine0 + 32 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 432], leftLine0 + 48 < 16));
    let rightInner0 = next + thread / 16;
    let rightInner0Y = rightInner0 % 2 * -1;
    let rightInner0X = rightInner0 % 1 * -1;
    let rightInner0At = rightInner0 / 2 * 49 + rightInner0Y * 7 + rightInner0X;
    rightVector0 = vec4<f32>(
      select(0.0, b1[right0_0At + rightInner0At], rightLine0 + 0 < 392 && u32(right0_0Y + rightInner0Y) < 7u && u32(right0_0X + rightInner0X) < 7u),
      select(0.0, b1[right0_1At + rightInner0At], rightLine0 + 16 < 392 && u32(right0_1Y + rightInner0Y) < 7u && u32(right0_1X + rightInner0X) < 7u),
      select(0.0, b1[right0_2At + rightInner0At], rightLine0 + 32 < 392 && u32(right0_2Y + rightInner0Y) < 7u && u32(right0_2X + rightInner0X) < 7u),
      select(0.0, b1[right0_3At + rightInner0At], rightLine0 + 48 < 392 && u32(right0_3Y + rightInner0Y) < 7u && u32(right0_3X + rightInner0X) < 7u));
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
    finish_2(part, batch, row, column, sums[k >> 2u][k & 3]);
  }
}

fn conv_input3(group: i32, thread: i32) {
  let firstColumn = group % 7 * 64;
  let firstRow = group / 7 % 1 * 64;
  let part = group / 7 % 1;
  let batch = group / 7;
  let begin = part * 128;
  let stop = 128;
  let x = thread % 16;
  let y = thread / 16;
  var sum0_0 = vec4<f32>();
  var sum1_0 = vec4<f32>();
  var sum2_0 = vec4<f32>();
  var sum3_0 = vec4<f32>();
  let leftLine0 = firstRow + thread / 16;
  let left0_0At = (leftLine0) * 9;
  let rightLine0 = firstColumn + thread % 16;
  let right0_0Y = (rightLine0) / 7 % 7 - -1;
  let right0_0X = (rightLine0) % 7 - -1;
  let right0_0At = batch * 1568 + (rightLine0) / 49 * 1568 + right0_0Y * 7 + right0_0X;
  let right0_1Y = (rightLine0 + 16) / 7 % 7 - -1;
  let right0_1X = (rightLine0 + 16) % 7 - -1;
  let right0_1At = batch * 1568 + (rightLine0 + 16) / 49 * 1568 + right0_1Y * 7 + right0_1X;
  let right0_2Y = (rightLine0 + 32) / 7 % 7 - -1;
  let right0_2X = (rightLine0 + 32) % 7 - -1;
  let right0_2At = batch * 1568 + (rightLine0 + 32) / 49 * 1568 + right0_2Y * 7 + right0_2X;
  let right0_3Y = (rightLine0 + 48) / 7 % 7 - -1;
  let right0_3X = (rightLine0 + 48) % 7 - -1;
  let right0_3At = batch * 1568 + (rightLine0 + 48) / 49 * 1568 + right0_3Y * 7 + right0_3X;
  var next = begin;
  var leftVector0 = vec4<f32>();
  var rightVector0 = vec4<f32>();
  let leftInner0 = next + thread % 16;
  let leftInner0At = leftInner0 / 4 * 144 + leftInner0 / 2 % 2 * 6 + leftInner0 % 2 * 2;
  leftVector0 = vec4<f32>(
    select(0.0, b0[left0_0At + leftInner0At], leftLine0 + 0 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 144], leftLine0 + 16 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 288], leftLine0 + 32 < 16),
    select(0.0, b0[left0_0At + leftInner0At + 432], leftLine0 + 48 < 16));
  let rightInner0 = next + thread / 16;
  let rightInner0Y = rightInner0 / 2 % 2 * -1;
  let rightInner0X = rightInner0 % 2 * -1;
  let rightInner0At = rightInner0 / 4 * 49 + rightInner0Y * 7 + rightInner0X;
  rightVector0 = vec4<f32>(
    select(0.0, b1[right0_0At + rightInner0At], rightLine0 + 0 < 392 && u32(right0_0Y + rightInner0Y) < 7u && u32(right0_0X + rightInner0X) < 7u),
    select(0.0, b1[right0_1At + rightInner0At], rightLine0 + 16 < 392 && u32(right0_1Y + rightInner0Y) < 7u && u32(right0_1X + rightInner0X) < 7u),
    select(0.0, b1[right0_2At + rightInner0At], rightLine0 + 32 < 392 && u32(right0_2Y + rightInner0Y) < 7u && u32(right0_2X + rightInner0X) < 7u),
    select(0.0, b1[right0_3At + rightInner0At], rightLine0 + 48 < 392 && u32(right0_3Y + rightInner0Y) < 7u && u32(right0_3X + rightInner0X) < 7u));
  for (var start = begin; start < stop; start += 16) {
    left[(thread % 16) * 17 + thread / 16] = leftVector0;
    right[(thread / 16) * 17 + thread % 16] = rightVector0;
    workgroupBarrier();
    next = min(start + 16, stop - 16);
    let leftInner0 = next + thread % 16;
    let leftInner0At = leftInner0 / 4 * 144 + leftInner0 / 2 % 2 * 6 + leftInner0 % 2 * 2;
    leftVector0 = vec4<f32>(
      select(0.0, b0[left0_0At + leftInner0At], leftLine0 + 0 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 144], leftLine0 + 16 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 288], leftLine0 + 32 < 16),
      select(0.0, b0[left0_0At + leftInner0At + 432], leftLine0 + 48 < 16));
    let rightInner0 = next + thread / 16;
    let rightInner0Y = rightInner0 / 2 % 2 * -1;
    let rightInner0X = rightInner0 % 2 * -1;
    let rightInner0At = rightInner0 / 4 * 49 + rightInner0Y * 7 + rightInner0X;
    rightVector0 = vec4<f32>(
      select(0.0, b1[right0_0At + rightInner0At], rightLine0 + 0 < 392 && u32(right0_0Y + rightInner0Y) < 7u && u32(right0_0X + rightInner0X) < 7u),
      select(0.0, b1[right0_1At + rightInner0At], rightLine0 + 16 < 392 && u32(right0_1Y + rightInner0Y) < 7u && u32(right0_1X + rightInner0X) < 7u),
      select(0.0, b1[right0_2At + rightInner0At], rightLine0 + 32 < 392 && u32(right0_2Y + rightInner0Y) < 7u && u32(right0_2X + rightInner0X) < 7u),
      select(0.0, b1[right0_3At + rightInner0At], rightLine0 + 48 < 392 && u32(right0_3Y + rightInner0Y) < 7u && u32(right0_3X + rightInner0X) < 7u));
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
    finish_3(part, batch, row, column, sums[k >> 2u][k & 3]);
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let group = i32(workgroup.x + workgroup.y * 65535u);
  let thread = i32(local);
  if (group < 7) { conv_input0(group, thread); return; }
  if (group < 14) { conv_input1(group - 7, thread); return; }
  if (group < 21) { conv_input2(group - 14, thread); return; }
  conv_input3(group - 21, thread);
}
