import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from 'jest';

/**
 * Tests named *.backend.test.ts run once on every backend, on WebGPU a choice of them and *.webgpu.test.ts; all others run
 * once.
 */
const transform: Config['transform'] = {
  '^.+\\.ts$': [
    '@swc/jest',
    { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
  ],
};
const moduleNameMapper = { '^webgpu$': '<rootDir>/test/support/dawn.cjs' };
const common = { testEnvironment: 'node', transform, moduleNameMapper, extensionsToTreatAsEsm: [] };
const onBackend = (backend: 'tensorflow' | 'wasm' | 'webgpu') => ({
  ...common,
  displayName: backend,
  globals: { DELTA_DIT_BACKEND: backend },
  setupFilesAfterEnv: ['<rootDir>/test/set-up-backend.ts'],
  testMatch: ['<rootDir>/test/**/*.backend.test.ts'],
});
/** Of the tests of every backend: what runs in seconds on a driver that computes on the CPU. */
const ON_WEBGPU = [
  'backend/tensors',
  'ops/!(attention)',
  'layers/parity',
  'models/block',
  'models/half-weights',
  'checkpoint/hold',
];
const webgpu = {
  ...onBackend('webgpu'),
  testMatch: [
    '<rootDir>/test/**/*.webgpu.test.ts',
    ...ON_WEBGPU.map((name) => `<rootDir>/test/${name}.backend.test.ts`),
  ],
};
const softwareAdapter = process.platform === 'linux' && process.arch === 'x64';
const native = ['tfjs-node', 'tfjs-node-gpu'].some((name) =>
  existsSync(`node_modules/@tensorflow/${name}/lib/napi-v8/tfjs_binding.node`),
);

const absent = [
  ...(native ? [] : ['the native backend: "npm run setup-native" says what it needs']),
  ...(softwareAdapter ? [] : ['WebGPU: the driver of the tests is made for Linux on x64']),
];

// TensorFlow reads it once, before a test could set it: no start-up lines.
process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';

// Without AMX: there weights are held in bfloat16 by default, and pictures are compared in float32. Ignored where absent.
process.env.DELTA_DIT_CPU ??= 'avx512';

// Inherited by the workers; test/unchecked.ts appends to it, test/report-unchecked.cjs prints it.
process.env.DELTA_DIT_UNCHECKED_FILE = join(tmpdir(), `delta-dit-unchecked-${process.pid}.txt`);

const config: Config = {
  maxWorkers: 2,
  testTimeout: 120_000,
  reporters: ['default', ['<rootDir>/test/report-unchecked.cjs', { absent }]],
  projects: [
    {
      ...common,
      displayName: 'plain',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: ['/node_modules/', '\\.(backend|webgpu)\\.test\\.ts$'],
    },
    onBackend('wasm'),
    ...(native ? [onBackend('tensorflow')] : []),
    ...(softwareAdapter ? [webgpu] : []),
  ],
};

export default config;
