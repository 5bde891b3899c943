import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { Page } from 'playwright-core';
import { convertCheckpoint } from '../../converters/convert.ts';
import { describeInBrowser } from '../browser/browser-tests.ts';
import { WEBGPU_FLAGS } from '../support/chromium.ts';
import { PARITY } from '../support/fixtures.ts';
import { ServedPage } from '../support/served-page.ts';

let served: ServedPage;
/** On a processor, WebGPU compiles each shader for seconds. */
const PATIENCE = { timeout: 280_000 };
jest.setTimeout(300_000);

const folder = mkdtempSync(join(tmpdir(), 'delta-dit-webgpu-page-'));
let page: Page;

describeInBrowser('the page', () => {
  served = ServedPage.forTests(WEBGPU_FLAGS);

  beforeAll(async () => {
    const tiny = join(folder, 'tiny');
    await convertCheckpoint({ from: join(PARITY, 'dit-tiny-diffusers'), out: tiny });
    nameClasses(join(tiny, 'manifest.json'));
    page = await served.open();
    await page.context().route('**/checkpoints/dit-emoji/*', (route) => {
      const name = basename(new URL(route.request().url()).pathname);
      return name === 'cache-plan.json' ? route.fulfill({ status: 404 }) : route.fulfill({ path: join(tiny, name) });
    });
    await page.getByLabel('Runs on').selectOption('webgpu');
    await page.getByLabel('Class').selectOption('smiling face');
    await page.getByLabel('Cache', { exact: true }).selectOption('fora');
  });
  afterAll(async () => {
    await page.context().close();
    rmSync(folder, { recursive: true });
  });

  const map = (pane: string) => page.locator(`#${pane} .map`).getAttribute('aria-label');

  it('paints and compares on WebGPU', async () => {
    await page.getByLabel('Steps', { exact: true }).fill('4');
    await page.getByRole('button', { name: 'Generate' }).click();
    await page.locator('#status', { hasText: /Done|Failed/ }).waitFor(PATIENCE);
    expect(await page.locator('#problem').textContent()).toBe('');
    expect(await page.locator('#backend-note').textContent()).toMatch(/^WebGPU, .*swiftshader/i);
    expect(await page.locator('#speed-up').textContent()).toMatch(/^\d+\.\d\d×$/);
    expect(Number.parseFloat((await page.locator('#psnr').textContent()) ?? '')).toBeGreaterThan(10);
    expect(await map('cached')).toContain('4 of 4 steps done');
    expect(await map('cached')).not.toContain(' 0 reused');
  });

  it('stops on WebGPU', async () => {
    await page.getByLabel('Steps', { exact: true }).fill('100');
    await page.getByRole('button', { name: 'Generate' }).click();
    await page.locator('#detail', { hasText: /step [1-9]\d* of 100, / }).waitFor(PATIENCE);
    await page.keyboard.press('Escape');
    await page.locator('#status', { hasText: 'Stopped.' }).waitFor(PATIENCE);
    expect(Number(/(\d+) of 100/.exec((await map('uncached')) ?? '')?.[1])).toBeLessThan(100);
  });
});

/** The demo model's names for the classes of a model that has none. */
function nameClasses(path: string): void {
  const { labels } = JSON.parse(readFileSync('checkpoints/dit-emoji/manifest.json', 'utf8'));
  const manifest = JSON.parse(readFileSync(path, 'utf8'));
  const { numClasses } = manifest.transformer.config;
  writeFileSync(path, JSON.stringify({ ...manifest, labels: labels.slice(0, numClasses) }));
}
