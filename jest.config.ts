import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from 'jest';

/** Tests named *.backend.test.ts run once on every backend; all others run once. */
const transform: Config['transform'] = {
  '^.+\\.ts$': [
    '@swc/jest',
    { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'commonjs' } },
  ],
};
const moduleNameMapper = { '^webgpu$': '<rootDir>/test/support/dawn.cjs' };
const common = { testEnvironment: 'node', transform, moduleNameMapper, extensionsToTreatAsEsm: [] };
const onBackend = (backend: 'tensorflow' | 'wasm') => ({
  ...common,
  displayName: backend,
  globals: { DELTA_DIT_BACKEND: backend },
  setupFilesAfterEnv: ['<rootDir>/test/set-up-backend.ts'],
  testMatch: ['<rootDir>/test/**/*.backend.test.ts'],
});
const native = ['tfjs-node', 'tfjs-node-gpu'].some((name) =>
  existsSync(`node_modules/@tensorflow/${name}/lib/napi-v8/tfjs_binding.node`),
);

const NATIVE_ABSENT = 'the native backend: "npm run setup-native" says what it needs';

// TensorFlow reads it once, before a test could set it: no start-up lines.
process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';

// Inherited by the workers; test/unchecked.ts appends to it, test/report-unchecked.cjs prints it.
process.env.DELTA_DIT_UNCHECKED_FILE = join(tmpdir(), `delta-dit-unchecked-${process.pid}.txt`);

const config: Config = {
  maxWorkers: 2,
  testTimeout: 120_000,
  reporters: ['default', ['<rootDir>/test/report-unchecked.cjs', { absent: native ? [] : [NATIVE_ABSENT] }]],
  projects: [
    {
      ...common,
      displayName: 'plain',
      testMatch: ['<rootDir>/test/**/*.test.ts'],
      testPathIgnorePatterns: ['/node_modules/', '\\.backend\\.test\\.ts$'],
    },
    onBackend('wasm'),
    ...(native ? [onBackend('tensorflow')] : []),
  ],
};

export default config;
