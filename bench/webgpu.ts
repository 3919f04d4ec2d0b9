/**
 * Dawn for Node as this process's WebGPU: `navigator.gpu` and the globals that go with it, where the peers look for them. To be imported before
 * anything that looks.
 */
import { create, globals } from 'webgpu';

Object.assign(globalThis, globals);

/** To be kept: Dawn dies with a device in use if this is collected. DAWN_FLAGS are its own, as `enable-dawn-features=allow_unsafe_apis`. */
export const gpu: GPU = create((process.env['DAWN_FLAGS'] ?? '').split(' ').filter((flag) => flag !== ''));
Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });

const devices: GPUDevice[] = [];
const faults: string[] = [];
const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (descriptor) {
  // TensorFlow.js puts a list into its list of features, which browsers make a text of, and Dawn does not.
  const requiredFeatures = [...(descriptor?.requiredFeatures ?? [])].flat();
  const device = await requestDevice.call(this, { ...descriptor, requiredFeatures });
  device.addEventListener('uncapturederror', ({ error }) => void faults.push(error.message));
  devices.push(device);
  return device;
};

/** Waits until the devices of this process have done all that was submitted. @throws if any of it was wrong, and so not done. */
export async function workDone(): Promise<void> {
  await Promise.all(devices.map((device) => device.queue.onSubmittedWorkDone()));
  if (faults.length > 0) throw new Error(faults[0]!);
}
