/** Augmentation as graph: views of images whose random parameters come from a key. */
export { type Augment, type Augmentation, type AugmentationName, augmentation, augmentations, leftOut } from './augment.ts';
