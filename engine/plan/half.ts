/** IEEE 754 binary16, which not every platform has an array of. */

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** The values of halves, exactly. */
export function fromHalves(halves: Uint16Array): Float32Array {
  return Float32Array.from(halves, (half) => {
    // As f32 its exponent is too small by 112, of subnormal numbers too; all ones are ∞ and NaN.
    word[0] = (half & 0x7fff) << 13;
    const size = (half & 0x7c00) === 0x7c00 ? (half & 0x3ff ? NaN : Infinity) : float[0]! * 2 ** 112;
    return half & 0x8000 ? -size : size;
  });
}

/** The nearest half of each value, of two the even one; what is beyond all halves becomes ∞. */
export function toHalves(values: Float32Array): Uint16Array {
  return Uint16Array.from(values, (value) => {
    const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
    const size = Math.abs(value);
    if (Number.isNaN(value)) return 0x7e00;
    if (size >= 65520) return sign | 0x7c00;
    const exponent = Math.max(Math.floor(Math.log2(size)), -14);
    const fraction = size * 2 ** (10 - exponent);
    const [below, rest] = [Math.floor(fraction), fraction % 1];
    const nearest = below + (rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? 1 : 0);
    // A carry goes over into the exponent.
    return sign | (((exponent + 14) << 10) + nearest);
  });
}
