import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import type * as Library from '../../src/index.ts';
import { bundleWithEsbuild, bundleWithVite, WASM_FOLDER } from '../support/bundles.ts';
import { launchChromium } from '../support/chromium.ts';
import { ROOT } from '../support/source-imports.ts';
import { StaticServer } from '../support/static-server.ts';

declare global {
  /** What test/browser/app/main.js puts into its page. */
  var deltaDit: typeof Library;
}

export const APP = 'test/browser/app';

/** The built library in a page of a real browser, served with the shipped checkpoints. */
export class PageTests {
  private folder = '';
  private browser: Browser | undefined;
  private started: StaticServer | undefined;

  /** To be called where tests are described. */
  static forTests({ vite = false, models = {} }: { vite?: boolean; models?: Record<string, string> } = {}): PageTests {
    const tests = new PageTests();
    beforeAll(() => tests.start(vite, models));
    beforeEach(() => tests.server.calm());
    afterAll(() => tests.stop());
    return tests;
  }

  get server(): StaticServer {
    if (!this.started) throw new Error('the server has not started');
    return this.started;
  }

  /** Requests since the last call for files with this ending. */
  asked(ending: string): string[] {
    return this.server
      .take()
      .filter(({ path }) => path.endsWith(ending))
      .map(({ range }) => range ?? 'all');
  }

  /** A page of a visitor of its own, with nothing kept, or another of the same visitor. */
  async open(options: { bundler?: 'esbuild' | 'vite'; of?: Page; host?: string } = {}): Promise<Page> {
    const { bundler = 'esbuild', of, host } = options;
    if (!this.browser) throw new Error('the browser has not started');
    const page = await (of?.context() ?? (await this.browser.newContext())).newPage();
    await page.goto(`${this.server.origin(host)}/${bundler}/index.html`);
    await page.waitForFunction(() => 'deltaDit' in globalThis);
    return page;
  }

  private async start(vite: boolean, models: Readonly<Record<string, string>>): Promise<void> {
    if (!existsSync('dist/browser/index.js')) throw new Error('the library is not built: npm run build');
    this.folder = mkdtempSync(join(tmpdir(), 'delta-dit-page-'));
    await bundleWithEsbuild(APP, join(this.folder, 'esbuild'));
    if (vite) await bundleWithVite(APP, join(this.folder, 'vite'));
    this.started = await StaticServer.start({
      '/': this.folder,
      '/wasm': WASM_FOLDER,
      '/checkpoints': join(ROOT, 'checkpoints'),
      ...models,
    });
    this.browser = await launchChromium();
  }

  private async stop(): Promise<void> {
    await this.browser?.close();
    await this.started?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
