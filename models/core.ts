/**
 * Self-supervised representation learning on the engine. Nothing here needs Node: files are in `io/node.ts` and `data/node.ts`. As `tensegrity/models/core`
 * it brings no backend: that is for bundles of one, with `tensegrity/core`.
 */

export { type Augment, type Augmentation, type AugmentationName, augmentation, augmentations, leftOut } from './augment/index.ts';
export { type SinkhornOptions, sinkhorn } from './clustering/sinkhorn.ts';
export { type SphericalKMeans, type SphericalKMeansOptions, sphericalKMeans } from './clustering/sphericalKMeans.ts';
export { type CifarVersion, parseCifar } from './data/cifar.ts';
export { inflateIdx, parseIdx } from './data/idx.ts';
export {
  channelStatistics,
  completeDataset,
  completeSplit,
  type ImageDataset,
  type ImageSplit,
  normalizeImages,
  type PendingRows,
  takeRows,
  takeSplit,
} from './data/images.ts';
export { type Batch, balancedSubset, batches, batchesPerEpoch, type LoaderOptions, prefetch, readyBatches } from './data/loader.ts';
export {
  type Classification,
  type LabelledFeatures,
  type LinearProbeOptions,
  linearProbe,
  type NearestNeighboursOptions,
  type NearestNeighboursResult,
  nearestNeighbours,
} from './evaluate/classify.ts';
export {
  type CollapseMetrics,
  type CollapseOptions,
  collapseMetrics,
  embeddingDeviation,
  meanOffDiagonalCorrelation,
  normalizedDeviation,
} from './evaluate/collapse.ts';
export { type CrossValidatedOptions, type CrossValidatedResult, crossValidatedProbe } from './evaluate/crossValidated.ts';
export {
  type FewLabelsOptions,
  type FewLabelsScores,
  fewLabels,
  type RidgeProbeOptions,
  type RidgeProbeResult,
  ridgeProbe,
} from './evaluate/fewLabels.ts';
export {
  type AlphaReQOptions,
  alphaReQ,
  covarianceSpectrum,
  effectiveRank,
  type LiDAROptions,
  lidar,
  rankMe,
  type SpectralOptions,
  singularValues,
} from './evaluate/spectral.ts';
export { type Checkpoint, checkpointBytes, checkpointIn, type Json, type JsonObject, type Sha256 } from './io/checkpointFormat.ts';
export { parseNpy, serializeNpy } from './io/npy.ts';
export { parseSafetensors, type Safetensors, serializeSafetensors } from './io/safetensors.ts';
export {
  type AlignmentUniformityLoss,
  type AlignmentUniformityOptions,
  alignmentUniformity,
} from './methods/alignmentUniformity.ts';
export { type BarlowTwinsLoss, type BarlowTwinsOptions, barlowTwins } from './methods/barlowTwins.ts';
export { type BYOLOptions, byol } from './methods/byol.ts';
export {
  type CorInfoMaxLoss,
  type CorInfoMaxOptions,
  corInfoMax,
  type RunningMoments,
  runningMoments,
} from './methods/corInfoMax.ts';
export { type DeepClusterOptions, deepCluster } from './methods/deepCluster.ts';
export { type DINOLoss, type DINOOptions, dino, dinoCentre } from './methods/dino.ts';
export { codingRate, type EMPSSLLoss, type EMPSSLOptions, empssl } from './methods/empssl.ts';
export { type FroSSLDialect, type FroSSLLoss, type FroSSLOptions, frossl, frosslDialects } from './methods/frossl.ts';
export { type MethodName, methodNamed, methods } from './methods/index.ts';
export { type INTLLoss, type INTLOptions, type INTLWay, intl, intlWays } from './methods/intl.ts';
export {
  type Advice,
  type Course,
  type EpochStart,
  type LearnedGroup,
  Learner,
  type Method,
  type MethodLoss,
  type Outcome,
  type Setting,
  type Step,
  type TrainingDefaults,
} from './methods/learner.ts';
export { type LeJEPALoss, type LeJEPAOptions, lejepa } from './methods/lejepa.ts';
export { type MMCRLoss, type MMCROptions, mmcr } from './methods/mmcr.ts';
export { type MoCoLoss, type MoCoOptions, moco } from './methods/moco.ts';
export type { ChoiceOption, MethodOption, NumberOption, OptionTable, OptionValues } from './methods/options.ts';
export { type SimCLRDialect, type SimCLRLoss, type SimCLROptions, simclr, simclrDialects } from './methods/simclr.ts';
export { type SimSiamOptions, simsiam } from './methods/simsiam.ts';
export { type SwAVOptions, swav } from './methods/swav.ts';
export { type TiCoDialect, type TiCoLoss, type TiCoOptions, tico, ticoCovariance, ticoDialects } from './methods/tico.ts';
export { type VIbCRegLoss, type VIbCRegOptions, vibcreg } from './methods/vibcreg.ts';
export { type VICRegDialect, type VICRegLoss, type VICRegOptions, vicreg, vicregDialects } from './methods/vicreg.ts';
export { type VICRegLOptions, vicregl } from './methods/vicregl.ts';
export { type VISRegLoss, type VISRegOptions, visreg } from './methods/visreg.ts';
export { type WMSEDistance, type WMSELoss, type WMSEOptions, wmse } from './methods/wmse.ts';
export { type EncoderName, encoders } from './nn/encoders.ts';
export * as functional from './nn/functional.ts';
export {
  deriveKey,
  type HostKey,
  type InitializeOptions,
  type Initializer,
  kaimingNormal,
  kaimingUniform,
  normal,
} from './nn/initialize.ts';
export { IterNorm, type IterNormOptions } from './nn/iterNorm.ts';
export { BatchNorm1d, BatchNorm2d, type BatchNormOptions, Conv2d, LayerNorm, Linear } from './nn/layers.ts';
export { type Layer, type Mode, Module, Parameter, Sequential } from './nn/module.ts';
export {
  type ConvolutionLayer,
  Encoder,
  type EncoderOptions,
  Expander,
  MLP,
  type MLPOptions,
  ResNet,
  type ResNetName,
  type ResNetOptions,
  SmallConvNet,
  type SmallConvNetOptions,
} from './nn/networks.ts';
export { type LoadOptions, prefixesOf, readSlots, type StateDict, writeSlots } from './nn/state.ts';
export { type TransformerName, type TransformerOptions, VisionTransformer } from './nn/transformer.ts';
export { clipByNorm } from './optim/clip.ts';
export { moveAverage } from './optim/ema.ts';
export { Optimizer, type ParameterGroup, type UpdateContext, type UpdateRule } from './optim/optimizer.ts';
export { Adam, type AdamHyper, AdamW, LARS, type LARSHyper, type OptimizerOptions, SGD, type SGDHyper } from './optim/rules.ts';
export { targetMomentum, type WarmupCosine, warmupCosine } from './optim/schedule.ts';
export { crossCorrelation } from './regularizers/crossCorrelation.ts';
export { type SIGRegOptions, type SliceOptions, sigreg } from './regularizers/gaussianity.ts';
export { alignment, uniformity } from './regularizers/hypersphere.ts';
export { covariance, invariance, invarianceToMean, type VarianceHinge, variance } from './regularizers/information.ts';
export { inverseSquareRoot, logDeterminant, nuclearNorm } from './regularizers/matrix.ts';
export { centre, covarianceMatrix, offDiagonal } from './regularizers/statistics.ts';
export {
  choleskyWhitening,
  type IterativeWhiteningOptions,
  iterativeWhitening,
  publishedWhitenings,
  type WhiteningName,
  type WhiteningOptions,
  whitenings,
  zcaWhitening,
} from './regularizers/whitening.ts';
export { type OptimizerName, optimizers, type TrainingConfig, trainingConfig } from './train/config.ts';
export { type Dashboard, type DashboardOptions, dashboard } from './train/dashboard.ts';
export { type FeatureScores, type FewScores, features, scoreEncoder, scorePixels } from './train/evaluate.ts';
export { type FineTuneOptions, type FineTuneState, fineTune } from './train/fineTune.ts';
export { type Circumstances, diagnose, type Warning } from './train/monitor.ts';
export { type StepRecord, Trainer, type TrainerOptions, type TrainerState } from './train/trainer.ts';
