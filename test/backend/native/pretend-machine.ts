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
import type { TfjsNodePackage } from '../../../src/backend/native/tfjs-node-package.ts';

/** What pip is asked for; sizes in bytes, small enough for any disk. */
export const PRETEND_WHEEL = {
  package: 'tensorflow-cpu',
  version: '2.21.0',
  platform: 'manylinux_2_27_x86_64',
  python: '3.11',
  downloadSize: 1000,
  unpackedSize: 2000,
};

/** Parts of a wheel: the ones that are taken, and some that are not. */
const WHEEL_FILES = {
  'tensorflow/libtensorflow_cc.so.2': 'the one half',
  'tensorflow/libtensorflow_framework.so.2': 'the other half',
  'tensorflow/include/tensorflow/c/c_api.h': '// C API',
  'tensorflow/include/tensorflow/compiler/aot/codegen.h': '// not needed',
  'tensorflow/include/xla/tsl/c/tsl_status.h': '// status',
  'tensorflow/python/lots.py': 'pass',
};

/** tfjs-node as far as the probe goes; works if its "native part" says so. */
const TFJS_NODE_SOURCE = `
const part = require('node:fs').readFileSync(__dirname + '/lib/napi-v8/tfjs_binding.node', 'utf8');
if (part !== 'good') throw new Error('the native part is ' + part);
exports.matMul = () => ({ data: async () => [11] });
exports.backend = () => ({ binding: { TF_Version: '2.21.0' }, isUsingGpuDevice: false });
`;

/** A folder that stands for a machine: programs on PATH, a user's cache, a project. */
export class PretendMachine {
  readonly root = mkdtempSync(join(tmpdir(), 'delta-dit-setup-'));
  readonly cacheDir = join(this.root, 'cache');
  readonly native = join(this.cacheDir, 'native');
  readonly part = join(this.native, `2.21.0-${process.arch}-napi8`);
  readonly wheel = join(this.root, 'made.whl');
  readonly log = join(this.root, 'log');
  readonly #bin = join(this.root, 'bin');
  readonly #path = process.env.PATH;

  constructor() {
    mkdirSync(this.#bin);
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

  /** pip that copies the prepared wheel to where it is asked to. */
  addPip(download = `/bin/cp '${this.wheel}' "$dest/tensorflow_cpu-2.21.0-cp311.whl"`): void {
    this.addTool(
      'python3',
      `case "$*" in *--version*) exit 0;; esac\nfor a in "$@"; do case "$a" in --dest=*) dest="\${a#--dest=}";; esac; done\n${download}`,
    );
  }

  /** g++ that writes the given text as its output. */
  addCompiler(output = 'good'): void {
    this.addTool('g++', `while [ $# -gt 1 ]; do [ "$1" = -o ] && printf ${output} > "$2"; shift; done; exit 0`);
  }

  async makeWheel(files: Record<string, string> = WHEEL_FILES): Promise<void> {
    const zip = new ZipWriter(new Uint8ArrayWriter());
    for (const [name, text] of Object.entries(files)) await zip.add(name, new TextReader(text));
    writeFileSync(this.wheel, await zip.close());
  }

  addTfjsNode(name = 'project'): TfjsNodePackage {
    const folder = join(this.root, name, 'node_modules', '@tensorflow', 'tfjs-node');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'index.js'), TFJS_NODE_SOURCE);
    return {
      name: '@tensorflow/tfjs-node',
      folder,
      version: '4.22.0',
      addon: join(folder, 'lib', 'napi-v8', 'tfjs_binding.node'),
    };
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
    return [...this.cached().filter((name) => !name.endsWith('.whl')), ...links];
  }
}
