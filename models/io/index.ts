/** File formats as bytes: runs in browsers and at the edge. What touches files is in `node.ts`. */
export { parseNpy, serializeNpy } from './npy.ts';
export { parseSafetensors, type Safetensors, serializeSafetensors } from './safetensors.ts';
