// Installs the packed tarball into an empty folder, as a user would, and uses it: ESM, CommonJS, the program, the
// shipped checkpoint, and the native set-up where this machine can do it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = mkdtempSync(join(tmpdir(), 'delta-dit-packed-'));
const run = (command, args, cwd = folder) => {
  console.log(`$ ${command} ${args.join(' ')}`);
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
};
const expect = (what, holds) => {
  if (!holds) throw new Error(`packed: ${what} does not hold`);
  console.log(`ok ${what}`);
};

try {
  run('npm', ['pack', '--pack-destination', folder], process.cwd());
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  writeFileSync(join(folder, 'package.json'), '{ "name": "packed-test", "private": true }\n');
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', `./${tarball}`]);

  const names = 'typeof DiTPipeline.fromPretrained, typeof deltaDiT, typeof convertCheckpoint';
  const esm = `import { DiTPipeline, deltaDiT, convertCheckpoint } from 'delta-dit'; console.log(${names});`;
  const cjs = `const { DiTPipeline, deltaDiT, convertCheckpoint } = require('delta-dit'); console.log(${names});`;
  expect('ESM import', run('node', ['--input-type=module', '-e', esm]).trim() === 'function function function');
  expect('CommonJS require', run('node', ['--input-type=commonjs', '-e', cjs]).trim() === 'function function function');

  const program = join('node_modules', '.bin', 'delta-dit');
  const { version } = JSON.parse(readFileSync(join(process.cwd(), 'package.json'), 'utf8'));
  expect('the program starts', run(program, ['--version']).trim() === version);
  const generate = ['generate', '--class', 'heart', '--seed', '7', '--steps', '4', '--cache', 'delta-dit'];
  run(program, [...generate, '--backend', 'wasm', '-o', 'wasm.png']);
  expect('the shipped checkpoint generates', readFileSync(join(folder, 'wasm.png')).readUInt32BE(16) === 64);

  const setUp = run(program, ['setup-native', '--if-possible']);
  const start = "import { useBackend } from 'delta-dit'; console.log((await useBackend()).name);";
  const expected = setUp.includes('is not set up') ? 'wasm' : 'tensorflow';
  expect(
    `the backend after set-up is ${expected}`,
    run('node', ['--input-type=module', '-e', start]).trim() === expected,
  );
  run(program, [...generate, '-o', 'default.png']);
  expect('the default backend generates', readFileSync(join(folder, 'default.png')).readUInt32BE(16) === 64);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
