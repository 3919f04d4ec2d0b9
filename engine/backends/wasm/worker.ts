/** A worker's whole program: it makes its own instance of the module on the common memory, and answers each call with null or a fault. */
export const workerProgram: string = `
const port = globalThis.process?.getBuiltinModule?.('node:worker_threads').parentPort ?? globalThis;
let kernels;
port.onmessage = async ({ data }) => {
  try {
    if (data.module) kernels = (await WebAssembly.instantiate(data.module, { env: { memory: data.memory } })).exports;
    else kernels.run(...data);
    port.postMessage(null);
  } catch (error) {
    port.postMessage(String(error));
  }
};
port.onmessageerror = () => port.postMessage('it could not be read');
`;
