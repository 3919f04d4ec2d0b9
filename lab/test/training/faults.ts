/** The lab's worker, on a GPU that can be lost. */
import './loseGpu.ts';
import '../../training/worker.ts';
