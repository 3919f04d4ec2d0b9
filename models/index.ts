import '../engine/index.ts';

export * from './core.ts';
