/** Loaded ahead of the command: its GPU is lost with the first commands after the step that LOSE_AFTER names has been printed, as when a driver dies. */
import { globals } from 'webgpu';

const { LOSE_AFTER: step } = process.env;
const { GPUAdapter } = globals;
const { requestDevice } = GPUAdapter.prototype;
let due = false;

const { write } = process.stdout;
process.stdout.write = (text, ...rest) => {
  due ||= String(text).includes(`"step":${step},`);
  return write.call(process.stdout, text, ...rest);
};

GPUAdapter.prototype.requestDevice = async function (...parameters) {
  const device = await requestDevice.apply(this, parameters);
  const { queue } = device;
  const { submit } = queue;
  queue.submit = (commands) => {
    submit.call(queue, commands);
    if (due) device.destroy();
  };
  return device;
};
