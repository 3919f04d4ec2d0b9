import type { Operand, Tensor } from '../../engine/core.ts';
import type { Mode, Module } from '../nn/module.ts';
import type { Encoder } from '../nn/networks.ts';
import { moveAverage } from '../optim/ema.ts';
import { type LearnedGroup, Learner, TRAIN } from './learner.ts';

/**
 * A learner whose encoder and head have a teacher, also called momentum or target network: their own average over time. It begins as the
 * student does, is not learned, normalises by its own batches in training, and keeps running statistics of its own.
 * (K. He et al., CVPR 2020, §3.2; J.-B. Grill et al., NeurIPS 2020, §3.1)
 */
export abstract class TaughtLearner<Head extends Module = Module> extends Learner {
  override readonly encoder: Encoder;
  readonly head: Head;
  readonly teacherEncoder: Encoder;
  readonly teacherHead: Head;

  /** Both functions give the same weights each time. */
  constructor(encoder: () => Encoder, head: (inputs: number) => Head) {
    super();
    this.encoder = encoder();
    this.head = head(this.encoder.width);
    this.teacherEncoder = encoder();
    this.teacherHead = head(this.encoder.width);
  }

  #taught(): readonly (readonly [teacher: Module, student: Module])[] {
    return [
      [this.teacherEncoder, this.encoder],
      [this.teacherHead, this.head],
    ];
  }

  override learned(): readonly LearnedGroup[] {
    const fixed = new Set(this.#taught().flatMap(([teacher]) => teacher.parameters()));
    return [{ parameters: this.parameters().filter((parameter) => !fixed.has(parameter)) }];
  }

  override embed(images: Tensor, _view: number, mode?: Mode): Tensor {
    return this.head.forward(this.encoder.forward(images, mode), mode);
  }

  /** Images → what the student's head makes of them. */
  protected student(view: Tensor): Tensor {
    return this.embed(view, 0, TRAIN);
  }

  /** Images → what the teacher's head makes of them; a constant. */
  protected teacher(view: Tensor): Tensor {
    return this.teacherHead.forward(this.teacherEncoder.forward(view, TRAIN), TRAIN).stopGradient();
  }

  /** Moves the teacher's weights towards the student's as assigned so far: ξ ← τξ + (1−τ)θ. */
  protected moveTeacher(momentum: Operand): void {
    for (const [teacher, student] of this.#taught()) moveAverage(teacher.parameters(), student.parameters(), momentum);
  }
}
