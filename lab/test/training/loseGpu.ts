/** Has the GPU of a worker lost when the page says so. */
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

export {};
