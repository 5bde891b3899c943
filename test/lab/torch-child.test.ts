import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackendError } from '../../src/errors.ts';
import { TorchChild } from '../../src/lab/torch-child.ts';

const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-torch-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Starts a program of Node in the place of Python's. */
function start(program: string, python = process.execPath): Promise<TorchChild> {
  const script = join(scratch, 'child.cjs');
  writeFileSync(script, program);
  return TorchChild.start({ python, script, caseFile: join(scratch, 'case'), threads: 3 });
}

/** Answers as the script does. @param answer the body of a function of `line` */
function speaking(answer: string): string {
  return `
    console.log(JSON.stringify({ ready: 'fake ' + process.argv.slice(2).join(' ') + ' ' + process.env.OMP_NUM_THREADS }));
    const fs = require('node:fs');
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => { ${answer} });`;
}

it('asks for runs and results, in turn', async () => {
  const child = await start(
    speaking(`
      if (line === 'run') return console.log('{"ms": 12.5}');
      fs.writeFileSync(line.slice('output '.length), 'numbers');
      console.log('{"shape": [2, 3]}');`),
  );
  expect(child.versions).toBe(`fake ${join(scratch, 'case')} 3 3`);
  expect([await child.run(), await child.run()]).toEqual([12.5, 12.5]);
  const output = join(scratch, 'a file');
  expect(await child.writeResult(output)).toEqual([2, 3]);
  expect(readFileSync(output, 'utf8')).toBe('numbers');
  child.end();
});

it('tells the stages of a run, and writes the result that is named', async () => {
  const child = await start(
    speaking(`
      if (line === 'run') return console.log('{"ms": 5, "stages": {"latents": 4, "output": 1}}');
      fs.writeFileSync(line.split(' ').at(-1), line.split(' ')[0]);
      console.log('{"shape": [1]}');`),
  );
  expect(await child.runStages(['output', 'latents'])).toEqual({ output: 1, latents: 4 });
  await expect(child.runStages(['preview'])).rejects.toThrow(/expected milliseconds of it, got undefined$/);
  await child.writeResult(join(scratch, 'named'), 'latents');
  expect(readFileSync(join(scratch, 'named'), 'utf8')).toBe('latents');
  child.end();
});

const refused: [string, string, RegExp][] = [
  [
    'a package that is missing',
    `console.log('{"error": "No module named torch"}')`,
    /^--python .*: No module named torch$/,
  ],
  ['a child that dies at once', 'process.exit(3)', /^--python .*: ended with 3$/],
  [
    'its last words',
    `console.error('Traceback'); console.error('MemoryError: no'); process.exit(1)`,
    /ended with 1: MemoryError: no$/,
  ],
  ['what is no JSON', `console.log('hello')`, /expected a line of JSON of it, got "hello"$/],
  ['what is no object', 'console.log(7)', /expected a line of JSON of it, got "7"$/],
];
it.each(refused)('reports %s', async (_, program, text) => {
  const started = start(program);
  await expect(started).rejects.toThrow(BackendError);
  await expect(started).rejects.toThrow(text);
});

it('reports a Python that is not there', async () => {
  await expect(start('', '/no/such/python')).rejects.toThrow(/^--python \/no\/such\/python: cannot be run: .*ENOENT/);
});

it('reports a child that dies or errs later', async () => {
  const dying = await start(speaking(`console.error('killed by a test'); process.exit(9)`));
  await expect(dying.run()).rejects.toThrow(/ended with 9: killed by a test$/);
  await expect(dying.run()).rejects.toThrow(/ended with 9/);
  const silly = await start(speaking(`console.log('{"ms": "soon", "shape": 5}')`));
  await expect(silly.run()).rejects.toThrow(/expected milliseconds of it, got "soon"$/);
  await expect(silly.writeResult('x')).rejects.toThrow(/expected a shape of it, got 5$/);
  silly.end();
});
