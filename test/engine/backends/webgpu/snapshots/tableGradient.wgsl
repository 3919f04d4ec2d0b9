// dispatches of one submit: 3; pieces of scratch memory: 1, 1024 bytes

// dispatch 0: kernel 0; 1×1 workgroups; b0 is input, b1 is piece 0
@group(0) @binding(0) var<storage, read> b0: array<i32>;
@group(0) @binding(1) var<storage, read_write> b1: array<i32>;

fn sortKey(value: i32) -> u32 { return bitcast<u32>(select(value, value + 1000, value < 0)) ^ 0x80000000u; }
var<workgroup> sortKeys: array<u32, 512>;
var<workgroup> sortPositions: array<i32, 512>;

fn mergedPlace(i: i32, key: u32, start: i32, length: i32, run: i32) -> i32 {
  let own = i / run;
  let first = own - own % 4;
  var place = first * run + i % run;
  for (var other = first; other < first + 4; other++) {
    if (other == own) { continue; }
    let begin = min(other * run, length);
    var low = begin;
    var high = min(begin + run, length);
    while (low < high) {
      let middle = (low + high) / 2;
      let there = sortKeys[start + middle];
      if (there < key || (there == key && other < own)) { low = middle + 1; } else { high = middle; }
    }
    place += low - begin;
  }
  return place;
}

fn sortedRuns(group: i32, thread: i32) {
  let piece = group % 1 * 256;
  let firstRow = group;
  let length = min(256 - piece, 256);
  let count = min(1 - firstRow, 1) * length;
  for (var e = thread; e < count; e += 256) {
    let row = firstRow + e / length;
    let i = piece + e % length;
    sortKeys[e] = sortKey(b0[i]);
    sortPositions[e] = i;
  }
  workgroupBarrier();
  var now = 0;
  for (var run = 1; run < 256; run *= 4) {
    let next = 256 - now;
    for (var e = thread; e < count; e += 256) {
      let i = e % length;
      let start = e - i;
      let key = sortKeys[now + e];
      let place = start + mergedPlace(i, key, now + start, length, run);
      sortKeys[next + place] = key;
      sortPositions[next + place] = sortPositions[now + e];
    }
    now = next;
    workgroupBarrier();
  }
  for (var e = thread; e < count; e += 256) {
    let row = firstRow + e / length;
    let i = piece + e % length;
    b1[i] = sortPositions[now + e];
  }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let group = i32(workgroup.x + workgroup.y * 65535u);
  let thread = i32(local);
  sortedRuns(group, thread);
}

// dispatch 1: kernel 0; 500×1 workgroups; b0 is output
@group(0) @binding(0) var<storage, read_write> b0: array<f32>;

fn zeroed(group: i32, thread: i32) {
  let i = group * 64 + thread;
  if (i >= 32000) { return; }
  let a = i / 32000;
  let n = i / 32 % 1000;
  let b = i % 32;
  b0[n * 32 + b] = 0f;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let group = i32(workgroup.x + workgroup.y * 65535u);
  let thread = i32(local);
  zeroed(group, thread);
}

// dispatch 2: kernel 0; 128×1 workgroups; b0 is input, b1 is piece 0, b2 is input, b3 is output
@group(0) @binding(0) var<storage, read> b0: array<i32>;
@group(0) @binding(1) var<storage, read> b1: array<i32>;
@group(0) @binding(2) var<storage, read> b2: array<f32>;
@group(0) @binding(3) var<storage, read_write> b3: array<f32>;

fn entryOf(index: i32) -> i32 { return select(index, index + 1000, index < 0); }

fn added(group: i32, thread: i32) {
  let i = group * 64 + thread;
  if (i >= 8192) { return; }
  let a = i / 8192;
  let first = i / 32 % 256;
  let b = i % 32;
  var m = b1[first];
  let n = entryOf(b0[m]);
  if (n < 0 || n >= 1000) { return; }
  if (first > 0) {
    let before = b1[(first - 1)];
    if (entryOf(b0[before]) == n) { return; }
  }
  var total = 0f;
  var j = first;
  loop {
    total += b2[m * 32 + b];
    j++;
    if (j == 256) { break; }
    m = b1[j];
    if (entryOf(b0[m]) != n) { break; }
  }
  b3[n * 32 + b] = total;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let group = i32(workgroup.x + workgroup.y * 65535u);
  let thread = i32(local);
  added(group, thread);
}
