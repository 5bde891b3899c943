export { checkpointPath as findNamed } from './checkpoint-path.ts';
