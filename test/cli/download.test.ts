import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { checksumOf, commitOf, filesOf, randomBytes } from '../support/mock-hub.ts';
import { COMMIT, FILES, NEEDED, TinyHub } from '../support/tiny-hub.ts';
import { PIXART } from '../support/tiny-pixart.ts';
import { expectRefusal, runCli, scratchFolder, startCli } from './run-cli.ts';

const tiny = TinyHub.forTests();
const scratch = scratchFolder();
afterAll(() => scratch.remove());
beforeEach(() => {
  process.env.HF_ENDPOINT = tiny.hub.endpoint;
  process.env.HF_HUB_CACHE = tiny.cacheDir;
});

const QUICKLY = ['--backend', 'wasm', '--steps', '2', '--seed', '7'];

describe('download', () => {
  it('prints the path alone on stdout, and says on stderr what it does', async () => {
    const path = tiny.model('snapshots', COMMIT);
    const first = await runCli('download', 'tiny/dit');
    expect(first).toMatchObject({ code: 0, stdout: `${path}\n` });
    expect(first.stderr).toMatch(/^Downloading tiny\/dit: \d\.\d MB\n$/);
    expect(await runCli('download', 'tiny/dit')).toEqual({ code: 0, stdout: `${path}\n`, stderr: '' });
    const elsewhere = await runCli('download', 'tiny/dit@main', '-q', '--cache-dir', scratch.path('cache'));
    expect(elsewhere).toEqual({
      code: 0,
      stdout: `${scratch.path('cache')}/models--tiny--dit/snapshots/${COMMIT}\n`,
      stderr: '',
    });
    tiny.expectOnlyWholeFiles();
  });

  it.each([
    ['no/model', /^error: no\/model: is neither a path here nor a model of http.*check the name/],
    ['tiny/dit@v9', /there is no branch, tag or commit "v9"/],
    ['dit', /^error: dit: expected owner\/name of a model on the hub/],
  ])('refuses %s in one line', async (name, message) => {
    expectRefusal(await runCli('download', name), message);
  });

  it('shows no token, whatever goes wrong', async () => {
    tiny.hub.add('tiny/private', { files: FILES, token: 'hf_right' });
    process.env.HF_TOKEN = 'hf_wrong';
    const refused = await runCli('download', 'tiny/private');
    expectRefusal(refused, /the hub refuses the token/);
    expect(refused.stdout + refused.stderr).not.toContain('hf_wrong');
    process.env.HF_TOKEN = 'hf_right';
    const allowed = await runCli('download', 'tiny/private');
    expect(allowed.code).toBe(0);
    expect(allowed.stdout + allowed.stderr).not.toContain('hf_right');
  });

  it('stops with Ctrl-C, keeps what has arrived, and goes on there', async () => {
    tiny.hub.mischief = (_, host) => (host === 'store' ? { slowly: 20 } : {});
    const { says, interrupt, ended } = startCli('download', 'tiny/dit');
    await says(/Downloading/);
    interrupt();
    const { code, stderr } = await ended;
    expect(stderr).toMatch(/: the download was stopped; what has arrived is kept, and the next one goes on there\n$/);
    expect(code).toBe(130);
    tiny.expectOnlyWholeFiles();
    tiny.hub.calm();
    expect((await runCli('download', 'tiny/dit')).code).toBe(0);
    tiny.expectOnlyWholeFiles();
  });
});

it('commands take a model of the hub, and take it from the cache the next time', async () => {
  const out = scratch.path('out.png');
  const made = await runCli('generate', '-m', 'tiny/dit', '--class', '1', ...QUICKLY, '-o', out);
  expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining('Downloading tiny/dit') });
  process.env.HF_HUB_OFFLINE = '1';
  const again = await runCli('generate', '--from-image', out, '--backend', 'wasm', '-o', scratch.path('again.png'));
  expect(again).toMatchObject({ code: 0, stderr: expect.not.stringContaining('Downloading') });
  expect(readFileSync(scratch.path('again.png')).equals(readFileSync(out))).toBe(true);
  expect((await runCli('inspect', 'tiny/dit')).stdout).toMatch(/DiT .*layout of diffusers/);
  const converted = await runCli('convert', 'tiny/dit', '--out', scratch.path('converted'));
  expect(converted).toMatchObject({ code: 0, stderr: expect.stringContaining('tensors') });
  expectRefusal(
    await runCli('generate', '-m', 'other/model', '--class', '1', ...QUICKLY, '-o', out, '--force'),
    /HF_HUB_OFFLINE is set/,
  );
});

it('prompts that come encoded need no text encoder of the hub', async () => {
  const folder = join(PIXART, 'tiny-diffusers');
  const embeds = scratch.path('prompts.safetensors');
  const prompt = ['generate', '-p', 'a red heart', ...QUICKLY];
  const local = scratch.path('local.png');
  expect((await runCli(...prompt, '-m', folder, '--save-embeds', embeds, '-o', local)).code).toBe(0);
  tiny.hub.add('tiny/pixart', { files: filesOf(folder) });
  const out = scratch.path('from-hub.png');
  expect(await runCli('generate', '-m', 'tiny/pixart', '--embeds', embeds, ...QUICKLY, '-o', out)).toMatchObject({
    code: 0,
  });
  const asked = tiny.hub.take().flatMap(({ path }) => (path.includes('/resolve/') ? [path] : []));
  expect(asked.filter((path) => /text_encoder|tokenizer/.test(path))).toEqual([]);
  expect(asked.length).toBeGreaterThan(0);
});

/** Each takes as long as the program takes to start. */
const KILLS = 8;

describe('a download that is killed', () => {
  const WEIGHTS = randomBytes(3_000_000, 5);
  const MODEL = { files: { ...FILES, 'transformer/diffusion_pytorch_model.safetensors': WEIGHTS } };

  /** Runs a download that is killed some time after it first asked the hub, unless it ends before. */
  async function killedAfter(ms: number): Promise<number | 'killed'> {
    tiny.hub.take();
    const child = spawn('node', ['bin/delta-dit.mjs', 'download', 'tiny/dit'], { env: process.env, stdio: 'ignore' });
    const ended = new Promise<number | 'killed'>((resolve) => {
      child.on('exit', (code, signal) => resolve(signal === 'SIGKILL' ? 'killed' : (code ?? -1)));
    });
    while (tiny.hub.asked.length === 0 && child.exitCode === null) await wait(5);
    await Promise.race([wait(ms), ended]);
    child.kill('SIGKILL');
    return ended;
  }

  /** Blobs have the content of their names; what a snapshot has leads to one. */
  function expectNothingHalf(): void {
    const blobs = existsSync(tiny.model('blobs')) ? readdirSync(tiny.model('blobs')) : [];
    const sums = new Set(Object.values(MODEL.files).map((content) => checksumOf(content).checksum));
    for (const name of blobs.filter((name) => !name.endsWith('.incomplete'))) {
      const content = readFileSync(tiny.model('blobs', name));
      expect(sums).toContain(checksumOf(content).checksum);
      expect(checksumOf(content).checksum).toBe(name);
    }
    const snapshot = tiny.model('snapshots', commitOf(MODEL));
    for (const name of existsSync(snapshot) ? readdirSync(snapshot, { recursive: true, encoding: 'utf8' }) : [])
      expect(statSync(`${snapshot}/${name}`)).toBeDefined();
  }

  it('at any moment leaves nothing half, and those after it go on to the right bytes', async () => {
    tiny.hub.add('tiny/dit', MODEL);
    tiny.hub.mischief = (_, host) => (host === 'store' ? { slowly: 5 } : {}); // about a second in all
    const seed = Date.now() % 2 ** 31;
    for (const moment of randomBytes(KILLS, seed)) {
      const code = await killedAfter(moment * 4);
      expectNothingHalf();
      if (code !== 'killed') break;
    }
    tiny.hub.calm();
    const whole = await runCli('download', 'tiny/dit');
    expect({ seed, ...whole }).toMatchObject({ code: 0, stdout: `${tiny.model('snapshots', commitOf(MODEL))}\n` });
    const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    for (const path of NEEDED)
      expect(sha256(readFileSync(tiny.model('snapshots', commitOf(MODEL), path)))).toBe(
        sha256(MODEL.files[path as keyof typeof MODEL.files]),
      );
    expect(readdirSync(tiny.model('blobs')).filter((name) => name.endsWith('.incomplete'))).toEqual([]);
  });

  it('in the middle of a file is gone on with from there', async () => {
    tiny.hub.add('tiny/dit', MODEL);
    tiny.hub.mischief = (_, host) => (host === 'store' ? { slowly: 20 } : {});
    const child = spawn('node', ['bin/delta-dit.mjs', 'download', 'tiny/dit'], { env: process.env, stdio: 'ignore' });
    const partial = tiny.model('blobs', `${checksumOf(WEIGHTS).checksum}.delta-dit.incomplete`);
    while (!existsSync(partial) || statSync(partial).size < 100_000) await wait(10);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const kept = statSync(partial).size;
    tiny.hub.calm();
    expect((await runCli('download', 'tiny/dit')).code).toBe(0);
    expect(tiny.fetched()).toContain(`bytes=${kept}-`);
    expect(
      readFileSync(tiny.model('snapshots', commitOf(MODEL), 'transformer/diffusion_pytorch_model.safetensors')).equals(
        WEIGHTS,
      ),
    ).toBe(true);
  });
});
