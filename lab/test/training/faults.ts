/** The lab's worker on a GPU that can be lost: a message in the page's place has its device destroyed. */
const devices: GPUDevice[] = [];
if (typeof GPUAdapter !== 'undefined') {
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const device = await requestDevice.call(this, descriptor);
    devices.push(device);
    return device;
  };
}
globalThis.addEventListener('message', ({ data }: MessageEvent<{ readonly kind: string }>) => {
  if (data.kind === 'loseGpu') for (const device of devices) device.destroy();
});
await import('../../training/worker.ts');

export {};
