import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { psnr } from '../../src/metrics/psnr.ts';
import { parsePictureSettings } from '../../src/pipelines/picture-settings.ts';
import { readPngText } from '../../src/pipelines/png.ts';
import { describeInBrowser } from '../browser/browser-tests.ts';
import { runCli } from '../cli/run-cli.ts';
import { readPng } from '../support/read-png.ts';
import { ServedPage } from '../support/served-page.ts';

let served: ServedPage;

/** Longest that a real machine with other work may take for a few steps; nothing is measured by it. */
const PATIENCE = { timeout: 90_000 };

/** The page with few steps of WebAssembly asked for. */
async function opened(steps: number, options: Parameters<ServedPage['open']>[0] = {}): Promise<Page> {
  const page = await served.open(options);
  await page.getByLabel('Steps', { exact: true }).fill(String(steps));
  await page.getByLabel('Runs on').selectOption('wasm');
  return page;
}

const says = (page: Page, text: string) => page.locator('#status', { hasText: text }).waitFor(PATIENCE);
const map = (page: Page, pane: string) => page.locator(`#${pane} .map`).getAttribute('aria-label');

const stepsDone = (label: string | null) => Number(/(\d+) of 100 steps done/.exec(label ?? '')?.[1]);

const folder = mkdtempSync(join(tmpdir(), 'delta-dit-page-'));
let page: Page;

describeInBrowser('the page', () => {
  served = ServedPage.forTests(['--disable-gpu']);
  afterEach(() => expect(served.takeComplaints()).toEqual([]));

  beforeAll(async () => {
    page = await opened(4);
  });
  afterAll(async () => {
    await page.context().close();
    rmSync(folder, { recursive: true });
  });

  describe('a comparison', () => {
    let longestGap = 0;

    beforeAll(async () => {
      await page.getByLabel('blocks that a cached step skips').fill('21');
      await watchFrames(page);
      await page.getByRole('button', { name: 'Generate' }).click();
      await says(page, 'Done.');
      longestGap = await page.evaluate(() => window.longestGap);
    });

    it('shows both times, the speed-up and how near the pictures are', async () => {
      expect(await page.locator('#uncached .took').textContent()).toMatch(/^[\d.]+ m?s$/);
      expect(await page.locator('#cached .took').textContent()).toMatch(/^[\d.]+ m?s$/);
      expect(await page.locator('#speed-up').textContent()).toMatch(/^\d+\.\d\d×$/);
      const decibels = Number.parseFloat((await page.locator('#psnr').textContent()) ?? '');
      expect(decibels).toBeGreaterThan(10);
      expect(decibels).toBeLessThan(60);
      expect(await page.locator('#macs').textContent()).toBe('1.60×');
      expect(await page.locator('#backend-note').textContent()).toMatch(/^WebAssembly with SIMD, \d+ thread/);
    });

    it('has lit every step of both maps', async () => {
      expect(await map(page, 'uncached')).toContain('4 of 4 steps done: of 112 block evaluations 0 reused');
      expect(await map(page, 'cached')).toContain('4 of 4 steps done: of 112 block evaluations 42 reused');
    });

    it('never held up the page', () => {
      expect(longestGap).toBeGreaterThan(0);
      expect(longestGap).toBeLessThan(1000);
    });

    it('gives the picture that it shows as a PNG with its settings', async () => {
      const { name, bytes } = await download(page, 'cached');
      expect(name).toBe('dit-emoji-cat-face-7-delta-dit.png');
      const texts = readPngText(name, bytes);
      expect(texts.get('parameters')).toContain(
        'cat face\nSteps: 4, Sampler: DDIM, CFG scale: 3, Seed: 7, Size: 64x64',
      );
      const settings = parsePictureSettings(name, texts.get('delta-dit') ?? '', '0.1.0');
      expect(settings).toMatchObject({
        pipeline: 'DiTPipeline',
        ...{ model: 'dit-emoji', classes: ['cat face'], classLabels: [2], seeds: [7], numInferenceSteps: 4 },
        ...{ cache: 'delta-dit', cacheOptions: ['cachedBlocks=21'], backend: 'wasm', compare: false },
      });
      expect(await pixelsOf(page, bytes)).toBe(await shownPixels(page, 'cached'));
    });

    it('gives a picture that the command line repeats', async () => {
      const { bytes } = await download(page, 'cached');
      const [given, again] = [join(folder, 'page.png'), join(folder, 'again.png')];
      writeFileSync(given, bytes);
      const { code, stderr } = await runCli('generate', '--from-image', given, '--backend', 'wasm', '-o', again);
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.not.stringContaining('warning') });
      expect(psnr(pixelImage(given), pixelImage(again))).toBeGreaterThan(50); // threads may add up in another order
    });
  });

  describe('a run', () => {
    it('stops within a step, and another follows', async () => {
      await page.getByLabel('Cache', { exact: true }).selectOption('none');
      await page.getByLabel('Steps', { exact: true }).fill('100');
      await page.getByRole('button', { name: 'Generate' }).click();
      await page.locator('#detail', { hasText: /step [1-9]\d* of 100, / }).waitFor(PATIENCE);
      const before = await page.getByRole('button', { name: 'Stop' }).evaluate((button: HTMLButtonElement) => {
        button.click();
        return document.querySelector('#uncached .map')?.getAttribute('aria-label') ?? null;
      });
      await says(page, 'Stopped.');
      expect(stepsDone(await map(page, 'uncached'))).toBeLessThanOrEqual(stepsDone(before) + 2);
      await page.getByLabel('Steps', { exact: true }).fill('1');
      await page.getByRole('button', { name: 'Generate' }).click();
      await says(page, 'Done.');
      expect(await page.locator('#cached').isVisible()).toBe(false);
    });

    it('follows the model with what a cache takes', async () => {
      await page.getByLabel('Model').selectOption('pixart-emoji-lcm');
      await page.getByLabel('Cache', { exact: true }).selectOption('delta-dit');
      await page.locator('#option-cachedBlocks[placeholder="6"]').waitFor();
      expect(await page.locator('#option-stageBound').getAttribute('placeholder')).toBe('2');
      expect(await map(page, 'cached')).toContain('0 of 4 steps done');
      await page.getByLabel('Model').selectOption('dit-emoji');
      await page.locator('#option-cachedBlocks[placeholder="21"]').waitFor();
    });

    it('needs no mouse', async () => {
      const { keyboard } = page;
      await page.evaluate(() => (document.activeElement as HTMLElement).blur());
      await tabTo(page, 'seed');
      await keyboard.type('8');
      await tabTo(page, 'steps');
      await keyboard.type('100');
      await tabTo(page, 'generate');
      expect(await outlineOf(page)).toBe('solid 2px');
      await keyboard.press('Enter');
      await page.locator('#detail', { hasText: /step [1-9]\d* of 100, / }).waitFor(PATIENCE);
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('stop');
      await keyboard.press('Escape');
      await says(page, 'Stopped.');
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('generate');
      expect(await page.getByLabel('Seed', { exact: true }).inputValue()).toBe('8');
    });
  });

  describe('what goes wrong', () => {
    it('is told before the run where the settings do not go together', async () => {
      await page.getByLabel('Steps', { exact: true }).fill('4');
      await page.getByLabel('Cache', { exact: true }).selectOption('delta-dit');
      await page.getByLabel('one full step in every N').fill('9');
      await page.getByRole('alert').filter({ hasText: 'interval: expected a whole number from 1 to 4' }).waitFor();
      await page.getByLabel('one full step in every N').fill('4');
      await page.getByRole('alert').waitFor({ state: 'hidden' });
    });

    it('is told: no GPU, which can be gone without, then a file that does not arrive whole', async () => {
      const page = await opened(1);
      await page.getByLabel('Cache', { exact: true }).selectOption('none');
      await page.getByLabel('Runs on').selectOption('webgpu');
      await page.getByRole('button', { name: 'Generate' }).click();
      await says(page, 'Failed.');
      expect(await page.getByRole('alert').textContent()).toContain('WebGPU finds no adapter');
      await page.getByLabel('Runs on').selectOption('The fastest there is');
      await page.context().route('**/vae.safetensors', (route) => route.fulfill({ body: Buffer.alloc(1925158) }));
      await page.getByRole('button', { name: 'Generate' }).click();
      await page
        .getByRole('alert')
        .filter({ hasText: /vae\.safetensors.*sha256/ })
        .waitFor(PATIENCE);
      await page.context().unroute('**/vae.safetensors');
      await page.getByRole('button', { name: 'Generate' }).click();
      await says(page, 'Done.');
      expect(await page.getByRole('alert').isVisible()).toBe(false);
      expect(await page.locator('#backend-note').textContent()).toMatch(/^WebAssembly.*\. WebGPU finds no adapter/);
      await page.context().close();
    });
  });
});

interface Watched {
  longestGap: number;
}
declare global {
  interface Window extends Watched {}
}

/** From now on the longest time between two frames of the page, in milliseconds. */
async function watchFrames(page: Page): Promise<void> {
  await page.evaluate(() => {
    window.longestGap = 0;
    let last = performance.now();
    const frame = () => {
      const now = performance.now();
      window.longestGap = Math.max(window.longestGap, now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
}

async function download(page: Page, pane: string): Promise<{ name: string; bytes: Uint8Array }> {
  const started = page.waitForEvent('download');
  await page.locator(`#${pane}`).getByRole('link', { name: 'Download PNG' }).click();
  const file = await started;
  return { name: file.suggestedFilename(), bytes: readFileSync(await file.path()) };
}

function pixelImage(path: string) {
  const { width, height, data } = readPng(path);
  return { width, height, data: new Uint8ClampedArray(data) };
}

function shownPixels(page: Page, pane: string): Promise<string> {
  return page.locator(`#${pane} .picture`).evaluate((node: HTMLCanvasElement) => {
    return String(node.getContext('2d')?.getImageData(0, 0, node.width, node.height).data);
  });
}

/** As the browser decodes a PNG. */
function pixelsOf(page: Page, png: Uint8Array): Promise<string> {
  const url = `data:image/png;base64,${Buffer.from(png).toString('base64')}`;
  return page.evaluate(async (source) => {
    const bitmap = await createImageBitmap(await (await fetch(source)).blob());
    const pen = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    pen?.drawImage(bitmap, 0, 0);
    return String(pen?.getImageData(0, 0, bitmap.width, bitmap.height).data);
  }, url);
}

/** Presses Tab until the element has the focus. */
async function tabTo(page: Page, id: string): Promise<void> {
  for (let i = 0; i < 40; i++) {
    await page.keyboard.press('Tab');
    if ((await page.evaluate(() => document.activeElement?.id)) === id) return;
  }
  throw new Error(`Tab does not reach ${id}`);
}

function outlineOf(page: Page): Promise<string> {
  return page.evaluate(() => {
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement ?? document.body);
    return `${outlineStyle} ${outlineWidth}`;
  });
}
