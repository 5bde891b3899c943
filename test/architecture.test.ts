import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import {
  type Import,
  identifiersOf,
  importsOf,
  PLATFORMS,
  type Platform,
  parseFile,
  parseText,
  ROOT,
  resolveImport,
  sourceFiles,
} from './support/source-imports.ts';

/**
 * What may import what: each row imports the rows above it and its own folder. Folders of one row never import each
 * other.
 */
const ROWS: readonly (readonly string[])[] = [
  ['src/errors.ts'],
  ['src/shape.ts'],
  ['src/device.ts'],
  ['src/checkpoint'],
  ['src/hub'],
  ['src/ops'],
  ['src/layers'],
  ['src/models'],
  ['converters'],
  ['src/schedulers', 'src/cache', 'src/tokenizers'],
  ['src/pipelines'],
  ['src/metrics'],
  ['src/lab'],
  ['src/backend'],
  ['src/index.ts'],
  ['src/cli'],
  ['src/web'],
];
/** What only some rows may import, wherever they stand. */
const ONLY_FOR: Readonly<Record<string, readonly string[]>> = { 'src/backend': ['src/index.ts', 'src/cli'] };
/** Rows that may import nothing but these. */
const ONLY_FROM: Readonly<Record<string, readonly string[]>> = { 'src/web': ['src/index.ts'] };

const PLACES = ROWS.flat();
const placeOf = (file: string): string | undefined =>
  PLACES.find((place) => file === place || file.startsWith(`${place}/`));
const rowOf = (place: string): number => ROWS.findIndex((row) => row.includes(place));

function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  const allowed = ONLY_FROM[from];
  if (allowed && !allowed.includes(to)) return false;
  const importers = ONLY_FOR[to];
  if (importers && !importers.includes(from)) return false;
  return rowOf(to) < rowOf(from);
}

/** Imports of our own files that the table forbids, one line each. */
function forbiddenImports(file: string, imports: readonly Import[]): string[] {
  const from = placeOf(file);
  const forbidden = imports.flatMap(({ specifier }) =>
    PLATFORMS.flatMap((platform) => {
      const target = resolveImport(file, specifier, platform);
      if (target === undefined) return [];
      const to = placeOf(target);
      return from !== undefined && to !== undefined && mayImport(from, to) ? [] : [`${file} imports ${target}`];
    }),
  );
  return [...new Set(forbidden)];
}

const FILES = [...sourceFiles('src'), ...sourceFiles('converters')];
const IMPORTS = new Map(FILES.map((file) => [file, importsOf(parseFile(file))]));
const BACKEND_PACKAGE = /^@tensorflow\/(tfjs-node|tfjs-backend-|tfjs$)/;

/** The files that are loaded when `entry` is imported: before any `import()` is reached, or with all that are. */
function loadedWith(entry: string, platform: Platform = 'node', dynamic = false): string[] {
  const seen = new Set<string>();
  const queue = [entry];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const { specifier, kind } of IMPORTS.get(file) ?? []) {
      const target = resolveImport(file, specifier, platform);
      if (target !== undefined && (kind === 'static' || (dynamic && kind === 'dynamic'))) queue.push(target);
    }
  }
  return [...seen];
}

const packagesOf = (files: readonly string[], kinds: readonly Import['kind'][] = ['static']): string[] =>
  files.flatMap((file) =>
    (IMPORTS.get(file) ?? [])
      .filter(({ kind, specifier }) => kinds.includes(kind) && !/^[.#]/.test(specifier))
      .map(({ specifier }) => `${file}: ${specifier}`),
  );

describe('the import table', () => {
  it('has a row for every file', () => {
    expect(FILES.filter((file) => placeOf(file) === undefined)).toEqual([]);
    expect(FILES.length).toBeGreaterThan(50);
  });

  it('holds', () => {
    expect([...IMPORTS].flatMap(([file, imports]) => forbiddenImports(file, imports))).toEqual([]);
  });

  it('only names files that exist', () => {
    const missing = [...IMPORTS].flatMap(([file, imports]) =>
      imports
        .flatMap(({ specifier }) => PLATFORMS.map((platform) => resolveImport(file, specifier, platform)))
        .filter((target) => target !== undefined && !existsSync(join(ROOT, target)))
        .map((target) => `${file} imports ${target}`),
    );
    expect(missing).toEqual([]);
  });

  it('would catch what it forbids', () => {
    const check = (file: string, text: string) => forbiddenImports(file, importsOf(parseText(file, text)));
    expect(check('src/models/dit.ts', "import { CachedBlocks } from '../cache/cached-blocks.ts';")).toHaveLength(1);
    expect(check('src/models/dit.ts', "import type { Sampler } from '../schedulers/sampler.ts';")).toHaveLength(1);
    expect(check('src/cache/plan.ts', "export { DDIMSampler } from '../schedulers/ddim.ts';")).toHaveLength(1);
    expect(check('src/schedulers/ddim.ts', "const plan = await import('../cache/plan.ts');")).toHaveLength(1);
    expect(check('src/ops/linear.ts', "let layer: import('../layers/linear.ts').Linear;")).toHaveLength(1);
    expect(check('src/pipelines/sample.ts', "import { useBackend } from '../backend/select.ts';")).toHaveLength(1);
    expect(check('src/web/page.ts', "import { psnr } from '../metrics/psnr.ts';")).toHaveLength(1);
    expect(
      check('src/cache/policies/fora.ts', "import '../plan.ts'; import '../../models/block.ts'; import 'zod';"),
    ).toEqual([]);
    expect(check('src/web/page.ts', "import { psnr } from '../index.ts';")).toEqual([]);
  });
});

describe('the library in a browser', () => {
  const loaded = loadedWith('src/index.ts');
  const inBrowser = loadedWith('src/index.ts', 'browser', true);

  it('loads nothing of Node there, not even later', () => {
    expect(inBrowser).toContain('src/hub/find-named.browser.ts');
    const builtins = packagesOf(inBrowser, ['static', 'dynamic']).filter((line) =>
      isBuiltin(line.split(': ')[1] ?? ''),
    );
    expect(builtins).toEqual([]);
    expect(inBrowser.filter((file) => file.endsWith('.node.ts'))).toEqual([]);
  });

  it('has two files for every import with #', () => {
    const halves = FILES.filter((file) => /\.(node|browser)\.ts$/.test(file));
    const whole = halves.map((file) => file.replace(/\.(node|browser)\.ts$/, ''));
    const lonely = [...new Set(whole)].filter((name) => whole.filter((other) => other === name).length !== 2);
    expect(lonely).toEqual([]);
    expect(halves.length).toBeGreaterThan(10);
  });

  it('nothing that importing the library loads needs Node', () => {
    expect(loaded).toContain('src/pipelines/dit-pipeline.ts');
    const builtins = packagesOf(loaded).filter((line) => isBuiltin(line.split(': ')[1] ?? ''));
    expect(builtins).toEqual([]);
  });

  it('nor does it register a backend', () => {
    expect(packagesOf(loaded).filter((line) => BACKEND_PACKAGE.test(line.split(': ')[1] ?? ''))).toEqual([]);
  });

  it('only src/backend names a backend package', () => {
    const named = [...IMPORTS].flatMap(([file, imports]) =>
      imports
        .filter(({ specifier }) => BACKEND_PACKAGE.test(specifier))
        .map(({ specifier }) => `${file}: ${specifier}`),
    );
    expect(named.filter((line) => !line.startsWith('src/backend/'))).toEqual([]);
    expect(named.length).toBeGreaterThan(0);
  });

  it('not even in a message or a comment', () => {
    const outside = FILES.filter((file) => !file.startsWith('src/backend/'));
    const named = outside.filter((file) => /tfjs-(node|backend)/.test(readFileSync(join(ROOT, file), 'utf8')));
    expect(named).toEqual([]);
  });
});

describe('the page', () => {
  const worker = loadedWith('src/web/worker.ts');

  it('knows of the library only types: all that computes is in the worker', () => {
    const page = loadedWith('src/web/page.ts');
    expect(page).toContain('src/web/settings-form.ts');
    expect(page.filter((file) => !file.startsWith('src/web/'))).toEqual([]);
    expect(packagesOf(page)).toEqual([]);
  });

  it('has a worker that needs no Node', () => {
    expect(worker).toContain('src/index.ts');
    expect(packagesOf(worker).filter((line) => isBuiltin(line.split(': ')[1] ?? ''))).toEqual([]);
  });
});

describe('the code', () => {
  it('never waits for a device synchronously', () => {
    const waiting = FILES.filter((file) => {
      const names = identifiersOf(parseFile(file));
      return names.has('dataSync') || names.has('arraySync');
    });
    expect(waiting).toEqual([]);
  });

  it('reads tensors where the device is asked whether they mean something', () => {
    const reading = FILES.filter((file) => /\.(data|array)\(\)/.test(readFileSync(join(ROOT, file), 'utf8')));
    // the probes are programs of their own
    expect(reading.filter((file) => !/^src\/backend\/(native|webgpu)\/probe\.ts/.test(file))).toEqual([]);
  });

  it('has file and folder names that say something', () => {
    const banned = /^(managers?|helpers?|handlers?|processors?|utils?|data|info|contexts?|bases?|impls?)$/;
    const names = ['src', 'converters', 'bin', 'test'].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true }).map((path) => `${folder}/${String(path)}`),
    );
    const empty = names.filter((path) => path.split(/[\\/._-]/).some((word) => banned.test(word.toLowerCase())));
    expect(empty).toEqual([]);
  });
});
