import { TFJS_VERSION } from '../backends/backend.ts';
import { programCall } from './own-package.ts';
import { recipeForThisMachine } from './setup-platform.ts';

/**
 * The command that gives this machine a native TensorFlow. Where our own set-up does not go, the package of the
 * TensorFlow.js team has prebuilt native parts.
 * @param installed the package that is there without a working native part
 */
export function setUpCommand(installed: string | undefined): string {
  if ('recipe' in recipeForThisMachine()) return `${programCall()} setup-native`;
  return installed ? `npm rebuild ${installed}` : `npm install @tensorflow/tfjs-node@${TFJS_VERSION}`;
}

/** The same for a TensorFlow that uses an NVIDIA GPU; undefined where there is none. */
export function gpuSetUpCommand(): string | undefined {
  if ('recipe' in recipeForThisMachine('gpu')) return `${programCall()} setup-native --gpu`;
  return process.platform === 'win32' ? `npm install @tensorflow/tfjs-node-gpu@${TFJS_VERSION}` : undefined;
}
