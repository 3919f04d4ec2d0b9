/** The small encoder as an ONNX file, for `program.mjs`: only what it takes of the format (onnx.proto3), so that no package is needed to write it. */

/** A field of a protobuf message: a whole number, a text, bytes, or bytes of a message. */
function field(number, value) {
  if (typeof value === 'number') return [...varint(number << 3), ...varint(value)];
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return [...varint((number << 3) | 2), ...varint(bytes.length), ...bytes];
}

function varint(value) {
  const bytes = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return [...bytes, value];
}

const message = (...fields) => fields.flat();
const floats = (name, shape, value) => {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value);
  return message(...shape.map((extent) => field(1, extent)), field(2, 1), field(8, name), field(9, new Uint8Array(data.buffer)));
};
const integers = (name, values) => field(5, message(field(1, name), ...values.map((value) => field(8, value)), field(20, 7)));
const node = (type, inputs, output, attributes = []) =>
  field(1, message(...inputs.map((name) => field(1, name)), field(2, output), field(4, type), ...attributes));
const described = (name, shape) =>
  message(field(1, name), field(2, field(1, message(field(1, 1), field(2, message(...shape.map((extent) => field(1, field(1, extent)))))))));

/** @param layers channels in, channels out, stride */
export function smallEncoder(layers) {
  const nodes = layers.flatMap(([, , stride], k) => [
    node('Conv', [`x${k}`, `w${k}`], `y${k}`, [integers('pads', [1, 1, 1, 1]), integers('strides', [stride, stride])]),
    node('Mul', [`y${k}`, `scale${k}`], `z${k}`),
    node('Add', [`z${k}`, `shift${k}`], `a${k}`),
    node('Relu', [`a${k}`], `x${k + 1}`),
  ]);
  const weights = layers.flatMap(([inputs, outputs], k) => [
    floats(`w${k}`, [outputs, inputs, 3, 3], 0.01),
    floats(`scale${k}`, [1, outputs, 1, 1], 1),
    floats(`shift${k}`, [1, outputs, 1, 1], 0),
  ]);
  const graph = message(
    ...nodes,
    node('GlobalAveragePool', [`x${layers.length}`], 'features'),
    field(2, 'small encoder'),
    ...weights.map((weight) => field(5, weight)),
    field(11, described('x0', [1, 1, 28, 28])),
    field(12, described('features', [1, layers.at(-1)[1], 1, 1])),
  );
  return Uint8Array.from(message(field(1, 8), field(7, graph), field(8, message(field(1, ''), field(2, 17)))));
}
