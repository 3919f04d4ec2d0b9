import './dawn.ts';
import { configureGlobal } from 'fast-check';
import { replayed } from './property.ts';

configureGlobal(replayed({}));
