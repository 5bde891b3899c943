import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { TextReader, Uint8ArrayWriter, ZipWriter } from '@zip.js/zip.js';
import { type Device, type NativeRecipe, RECIPES } from '../../../src/backend/native/setup-wheels.ts';
import type { TfjsNodePackage } from '../../../src/backend/native/tfjs-node-package.ts';

/** The real recipe, with sizes that are small enough for any disk. */
export function pretendRecipe(device: Device = 'cpu'): NativeRecipe {
  const recipe = RECIPES[device].x64!;
  return { ...recipe, wheels: recipe.wheels.map((wheel) => ({ ...wheel, downloadSize: 1000, unpackedSize: 2000 })) };
}

/** Parts of the wheel of TensorFlow: the ones that are taken, and some that are not. */
const TENSORFLOW_FILES = {
  'tensorflow/libtensorflow_cc.so.2': 'the one half',
  'tensorflow/libtensorflow_framework.so.2': 'the other half',
  'tensorflow/include/tensorflow/c/ops.h': '// C API',
  'tensorflow/include/tensorflow/compiler/aot/codegen.h': '// not needed',
  'tensorflow/include/xla/tsl/c/tsl_status.h': '// status',
  'tensorflow/python/lots.py': 'pass',
};

/**
 * tfjs-node as far as the probes go; its "native part" says what it does: good, good-gpu, crashing, hanging, else fail.
 * Addons on top of it say the same: good, or else fail.
 */
const TFJS_NODE_SOURCE = `
const part = require('node:fs').readFileSync(__dirname + '/lib/napi-v8/tfjs_binding.node', 'utf8');
if (part === 'crashing') process.kill(process.pid, 'SIGSEGV');
while (part === 'hanging');
if (!part.startsWith('good')) throw new Error('the native part is ' + part);
if (!part.endsWith('gpu')) console.error('E0000 00:00:1.2   7 cuda.cc:52] failed call to cuInit: UNKNOWN ERROR (303)');
exports.matMul = () => ({ data: async () => [11] });
exports.tensor1d = (values) => values;
exports.backend = () => ({
  binding: { TF_Version: '2.21.0' },
  isUsingGpuDevice: part.endsWith('gpu'),
  executeSingleOutput: (name, attributes, [x]) => ({ data: async () => x }),
});
require('node:module')._extensions['.node'] = (module, file) => {
  const text = require('node:fs').readFileSync(file, 'utf8');
  if (!text.startsWith('good')) throw new Error('the addon is ' + text);
  module.exports = { tensorflow: '2.21.0', register() {}, instructions: () => 'avx2' };
};
`;

/** A folder that stands for a machine: programs on PATH, a user's cache, a project. */
export class PretendMachine {
  readonly root = mkdtempSync(join(tmpdir(), 'delta-dit-setup-'));
  readonly cacheDir = join(this.root, 'cache');
  readonly native = join(this.cacheDir, 'native');
  readonly part = this.partFor('cpu');
  readonly wheel = this.wheelOf('tensorflow-cpu');
  readonly log = join(this.root, 'log');
  readonly #bin = join(this.root, 'bin');
  readonly #path = process.env.PATH;

  constructor() {
    mkdirSync(this.#bin);
    mkdirSync(dirname(this.wheel));
    process.env.PATH = this.#bin;
  }

  remove(): void {
    process.env.PATH = this.#path;
    rmSync(this.root, { recursive: true, force: true });
  }

  /** Puts a shell script on PATH; each call of it is a line in the log. */
  addTool(name: string, script: string): void {
    const file = join(this.#bin, name);
    writeFileSync(file, `#!/bin/sh\necho "${name} $*" >> '${this.log}'\n${script}\n`);
    chmodSync(file, 0o755);
  }

  removeTool(name: string): void {
    rmSync(join(this.#bin, name), { force: true });
  }

  /** Where the finished part for a device goes. */
  partFor(device: Device): string {
    return join(this.native, `2.21.0-${device}-${process.arch}-napi8`);
  }

  /** The prepared wheel that pip gives for a package. */
  wheelOf(name: string): string {
    return join(this.root, 'index', `${name}.whl`);
  }

  /** pip that copies the prepared wheel to where it is asked to. */
  addPip(download = `/bin/cp '${this.root}/index/'"$package.whl" "$dest/$package-cp311.whl"`): void {
    this.addTool(
      'python3',
      `case "$*" in *--version*) exit 0;; esac
for a in "$@"; do case "$a" in --dest=*) dest="\${a#--dest=}";; *==*) package="\${a%%==*}";; esac; done
${download}`,
    );
  }

  /** g++ that writes the given text as its output. */
  addCompiler(output = 'good'): void {
    this.addTool('g++', `while [ $# -gt 1 ]; do [ "$1" = -o ] && printf ${output} > "$2"; shift; done; exit 0`);
  }

  async makeWheel(files: Record<string, string> = TENSORFLOW_FILES, name = 'tensorflow-cpu'): Promise<void> {
    const zip = new ZipWriter(new Uint8ArrayWriter());
    for (const [path, text] of Object.entries(files)) {
      await zip.add(path, new TextReader(text), { executable: path.includes('/bin/') });
    }
    writeFileSync(this.wheelOf(name), await zip.close());
  }

  /** The wheels of TensorFlow with CUDA and of NVIDIA's libraries, with a header each that is not taken. */
  async makeGpuWheels(): Promise<void> {
    await this.makeWheel(TENSORFLOW_FILES, 'tensorflow');
    for (const { package: name, required } of pretendRecipe('gpu').wheels.slice(1)) {
      const component = dirname(dirname(required[0]!));
      const files = Object.fromEntries(required.map((path) => [path, `${name}: ${path}`]));
      const others = { [`${component}/include/some.h`]: '// header', [`${component}/__init__.py`]: '' };
      const licence = { [`${name.replaceAll('-', '_')}-1.dist-info/licenses/License.txt`]: 'NVIDIA' };
      await this.makeWheel({ ...files, ...others, ...licence }, name);
    }
  }

  addTfjsNode(project = 'project', name: TfjsNodePackage['name'] = '@tensorflow/tfjs-node'): TfjsNodePackage {
    const folder = join(this.root, project, 'node_modules', name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'index.js'), TFJS_NODE_SOURCE);
    return { name, folder, version: '4.22.0', addon: join(folder, 'lib', 'napi-v8', 'tfjs_binding.node') };
  }

  /** Gives a package a native part of its own, as a prebuilt one would be. */
  addNativePart({ addon }: TfjsNodePackage, deed: string): void {
    mkdirSync(dirname(addon), { recursive: true });
    writeFileSync(addon, deed);
  }

  calls(): string[] {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8').trim().split('\n') : [];
  }

  /** All that lies in the cache, the names of finished parts included. */
  cached(): string[] {
    return existsSync(this.native) ? readdirSync(this.native).sort() : [];
  }

  downloads(): string[] {
    return this.calls().filter((call) => call.includes(' download '));
  }

  /** What an unsuccessful set-up must not leave: unfinished parts and links to them. A whole wheel may stay. */
  leftBehind({ addon }: TfjsNodePackage): string[] {
    const links = existsSync(dirname(addon)) ? readdirSync(dirname(addon)) : [];
    return [...this.cached().filter((name) => !name.endsWith('.wheels')), ...links];
  }
}
