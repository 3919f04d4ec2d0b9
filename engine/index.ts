import './choices.ts';

export * from './core.ts';
