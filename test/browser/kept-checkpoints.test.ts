import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { convertCheckpoint } from '../../converters/convert.ts';
import { PARITY, scratchFolder } from '../cli/run-cli.ts';
import { filesOf, MockHub } from '../support/mock-hub.ts';
import { STORE_CHECKS } from '../support/store-checks.ts';
import { describeInBrowser, INSECURE_HOST, PageTests } from './browser-tests.ts';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

/** What a load gave: the picture of one step, or the error; and how far downloads came. */
interface Outcome {
  readonly picture: string;
  readonly error: string;
  readonly doneBytes: readonly number[];
}

/** Loads a model in a page and paints. @param stopAt bytes after which it is stopped */
function load(
  page: Page,
  model = '/models/tiny',
  given: { endpoint?: string; stopAt?: number } = {},
): Promise<Outcome> {
  return page.evaluate(
    async ([model, { endpoint, stopAt = Number.POSITIVE_INFINITY }]) => {
      const stop = new AbortController();
      const doneBytes: number[] = [];
      try {
        const pipe = await deltaDit.DiTPipeline.fromPretrained(model, {
          backend: 'cpu',
          endpoint,
          signal: stop.signal,
          onDownload: (progress) => {
            doneBytes.push(progress.doneBytes);
            if (progress.doneBytes > stopAt) stop.abort();
          },
        });
        const { images } = await pipe.generate({ classLabels: [3], seed: 7, numInferenceSteps: 1, guidanceScale: 1 });
        pipe.dispose();
        return { picture: base64(images[0]?.data), error: '', doneBytes };
      } catch (error) {
        return { picture: '', error: String(error), doneBytes };
      }
    },
    [model, given] as const,
  );
}

describeInBrowser('checkpoints that a browser keeps', () => {
  const tests = PageTests.forTests({ folders: { '/models': scratch.path('') } });
  let weights = Buffer.alloc(0);

  beforeAll(async () => {
    const [from, vae] = [join(PARITY, 'dit-tiny.pt'), join(PARITY, 'dit-tiny-diffusers')];
    await convertCheckpoint({ from, out: scratch.path('tiny'), vae, numHeads: 4 });
    weights = readFileSync(join(scratch.path('tiny'), 'transformer.safetensors'));
  });

  describe.each(['openOpfsStore', 'openCacheStore'] as const)('%s', (open) => {
    let page: Page;
    beforeAll(async () => {
      page = await tests.open();
    });

    it.each(STORE_CHECKS.map((check, i) => ({ ...check, folder: `check-${i}` })))(
      '$name',
      async ({ folder, run, expected }) => {
        expect(await page.evaluate(`deltaDit.${open}('${folder}').then(${run})`)).toEqual(expected);
      },
    );
  });

  it('a second visit asks for no weights, nor does one without a network', async () => {
    const page = await tests.open();
    const first = await load(page);
    expect(first.picture).not.toBe('');
    expect(tests.fetched('.safetensors')).toEqual(['all', 'all']);
    const again = await tests.open({ of: page });
    tests.server.take();
    const second = await load(again);
    expect(second).toEqual({ ...first, doneBytes: [] });
    const asked = tests.server.take().filter(({ path }) => path.startsWith('/models/'));
    expect(asked.map(({ path, conditional }) => [path, conditional])).toEqual([
      ['/models/tiny/manifest.json', true],
      ['/models/tiny/cache-plan.json', false],
    ]);
    tests.server.mischief = (path) => (path.startsWith('/models/') ? { status: 503 } : {});
    expect((await load(again)).picture).toBe(first.picture);
    expect(tests.warnings.filter((text) => text.includes('earlier visit'))).toHaveLength(1);
    await page.context().close();
  });

  it('what was stopped, or closed, goes on from there', async () => {
    const page = await tests.open();
    tests.server.mischief = (path) => (path.endsWith('.safetensors') ? { slowly: 20 } : {});
    const stopped = await load(page, '/models/tiny', { stopAt: weights.length / 2 });
    expect(stopped.error).toMatch(/^AbortError: .*was stopped; what has arrived is kept/);
    tests.server.calm();
    const done = await load(page);
    expect(done.picture).not.toBe('');
    expect(tests.fetched('transformer.safetensors')).toEqual([expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
    await page.context().close();
  });

  it('two pages at once download once', async () => {
    const page = await tests.open();
    const other = await tests.open({ of: page });
    tests.server.mischief = (path) => (path.endsWith('.safetensors') ? { slowly: 5 } : {});
    const [a, b] = await Promise.all([load(page), load(other)]);
    expect(a.picture).not.toBe('');
    expect(b.picture).toBe(a.picture);
    expect(tests.fetched('.safetensors')).toEqual(['all', 'all']);
    await page.context().close();
  });

  it('a damaged file is refused, and nothing of it is used later', async () => {
    const page = await tests.open();
    tests.server.mischief = (path) => (path.endsWith('transformer.safetensors') ? { corruptAt: 5_000 } : {});
    expect((await load(page)).error).toMatch(/^HubError: .*transformer\.safetensors: arrived damaged 2 times/);
    tests.server.calm();
    expect((await load(page)).error).toBe('');
    expect(tests.fetched('transformer.safetensors')).toEqual(['all']);
    await page.context().close();
  });

  it('a browser that is full is told of, and goes on when there is room', async () => {
    const page = await tests.open();
    const browser = await page.context().newCDPSession(page);
    const origin = tests.server.origin();
    await browser.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 100_000 });
    const full = /^FileError: the browser's private file system: is full; free disk space, clear the data/;
    expect((await load(page)).error).toMatch(full);
    await browser.send('Storage.overrideQuotaForOrigin', { origin });
    expect((await load(page)).error).toBe('');
    await page.context().close();
  });

  it('a page over plain HTTP is told that it can check nothing', async () => {
    const page = await tests.open({ host: INSECURE_HOST });
    expect(await page.evaluate(() => isSecureContext)).toBe(false);
    expect((await load(page)).error).toMatch(/^FileError: .*no secure context.*https or from localhost/);
    expect(tests.fetched('.safetensors')).toEqual([]);
    await page.context().close();
  });

  it('a name that is none, and a server that is not there, are told of', async () => {
    const page = await tests.open();
    expect((await load(page, 'C:\\models')).error).toMatch(/^OptionError: .*expected a URL of a converted folder/);
    expect((await load(page, '/models/none')).error).toMatch(
      /^HubError: .*none\/manifest\.json: expected the manifest/,
    );
    await page.context().close();
  });

  it('a model of the hub arrives the same way', async () => {
    const hub = await MockHub.start();
    try {
      hub.add('tiny/dit', { files: filesOf(join(PARITY, 'dit-tiny-diffusers')) });
      const page = await tests.open();
      const first = await load(page, 'tiny/dit', { endpoint: hub.endpoint });
      expect(first).toMatchObject({ error: '', picture: expect.stringMatching(/./) });
      hub.take();
      expect((await load(page, 'tiny/dit', { endpoint: hub.endpoint })).picture).toBe(first.picture);
      expect(hub.take().filter(({ path }) => !path.startsWith('/api/'))).toEqual([]);
      await page.context().close();
    } finally {
      await hub.stop();
    }
  });
});
