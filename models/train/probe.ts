import { grad, type HostArray, type Slot, slot, type Tensor, take } from '../../engine/core.ts';
import { labelsIn } from '../data/images.ts';
import { crossEntropy } from '../nn/functional.ts';
import { deriveKey, type HostKey } from '../nn/initialize.ts';
import { BatchNorm1d, Linear } from '../nn/layers.ts';
import { Module, Sequential } from '../nn/module.ts';
import { Adam } from '../optim/rules.ts';

/** Of the probe's own optimiser, Adam. */
const LEARNING_RATE = 1e-2;

/**
 * A linear classifier that learns while the encoder does, from its features in evaluation mode, of the images as they are: features are standardised
 * as a batch norm without scale and shift does it, and no gradient leaves. It costs a forward pass of one view.
 */
export class OnlineProbe extends Module {
  readonly classifier: Sequential;
  readonly #labels: Slot;
  readonly #optimizer: Adam;

  /** @param labels [count], of all training images. */
  constructor(width: number, labels: HostArray, key: HostKey) {
    super();
    const classes = labelsIn('OnlineProbe', labels);
    const places = new Map(classes.map((label, at) => [label, at]));
    this.classifier = new Sequential([
      new BatchNorm1d(width, { affine: false }),
      new Linear(width, classes.length, { key: deriveKey(key, 0) }),
    ]);
    this.#optimizer = new Adam(this.classifier.parameters(), { learningRate: LEARNING_RATE });
    this.#labels = slot(
      { dtype: 'i32', shape: labels.shape, data: Int32Array.from(labels.data, (label: number) => places.get(label)!) },
      'labels',
    );
  }

  /** What is saved: the classifier, and its optimiser's moments. */
  override *namedSlots(prefix = ''): Generator<[name: string, slot: Slot]> {
    yield* super.namedSlots(prefix);
    for (const [name, slot] of this.#optimizer.namedSlots()) yield [`${prefix}optimizer.${name}`, slot];
  }

  override forward(features: Tensor): Tensor {
    return this.classifier.forward(features, { train: true });
  }

  /** Learns from features [n, width] of the images `indices`; gives the share that it told right before. */
  step(features: Tensor, indices: Tensor): Tensor {
    const labels = take(this.#labels.value, indices);
    const logits = this.forward(features.stopGradient());
    this.#optimizer.step(grad(crossEntropy(logits, labels), this.classifier.parameters()));
    return logits.argmax(1).equal(labels).cast('f32').mean();
  }

  override dispose(): void {
    super.dispose();
    this.#labels.dispose();
    this.#optimizer.dispose();
  }
}
