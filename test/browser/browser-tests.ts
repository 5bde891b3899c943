import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type * as Library from '../../src/index.ts';
import { bundleWithEsbuild, bundleWithVite, WASM_FOLDER } from '../support/bundles.ts';
import { HAS_CHROMIUM, launchChromium } from '../support/chromium.ts';
import { ROOT } from '../support/source-imports.ts';
import { StaticServer } from '../support/static-server.ts';
import { unchecked } from '../unchecked.ts';

declare global {
  /** What test/browser/app/main.js puts into its page. */
  var deltaDit: typeof Library;
  var wasmPaths: string | Record<string, string>;
  var base64: (bytes: Iterable<number> | undefined) => string;
}

/** A name that leads to this machine and is no secure context, as localhost is one. */
export const INSECURE_HOST = 'insecure.test';

interface PageTestOptions {
  readonly vite?: boolean;
  /** Folders that are served besides the bundles, the .wasm files and the shipped checkpoints, by their paths. */
  readonly folders?: Readonly<Record<string, string>>;
}

interface OpenOptions {
  readonly bundler?: 'esbuild' | 'vite';
  /** Another page of the visitor of this one; default: of a new visitor, for whom nothing is kept. */
  readonly of?: Page;
  readonly host?: string;
}

/** Describes tests in a real browser, or says that there is none. */
export const describeInBrowser = (name: string, tests: () => void): void => {
  if (HAS_CHROMIUM) describe(name, tests);
  else
    describe(name, () => {
      it('is not checked here', () => unchecked(`the browser, ${name}: a Chromium (DELTA_DIT_CHROMIUM names one)`));
    });
};

/** The built library, bundled, in pages of a real browser. */
export class PageTests {
  /** What the bundlers had to say. */
  readonly said = { esbuild: '', vite: '' };
  /** Uncaught errors of pages since the test began. */
  readonly errors: string[] = [];
  /** Warnings in the console since the test began. */
  readonly warnings: string[] = [];
  private folder = '';
  private browser: Browser | undefined;
  private started: StaticServer | undefined;

  /** To be called where tests are described. */
  static forTests({ vite = false, folders = {} }: PageTestOptions = {}): PageTests {
    const tests = new PageTests();
    beforeAll(() => tests.start(vite, folders));
    beforeEach(() => tests.calm());
    afterAll(() => tests.stop());
    return tests;
  }

  get server(): StaticServer {
    if (!this.started) throw new Error('the server has not started');
    return this.started;
  }

  /** Ranges that were asked for since the last call, of files with this ending. */
  fetched(ending: string): string[] {
    return this.server.take().flatMap(({ path, range }) => (path.endsWith(ending) ? [range ?? 'all'] : []));
  }

  async open({ bundler = 'esbuild', of, host }: OpenOptions = {}): Promise<Page> {
    if (!this.browser) throw new Error('the browser has not started');
    const page = await (of?.context() ?? (await this.newVisitor(this.browser))).newPage();
    page.on('pageerror', (error) => this.errors.push(String(error)));
    page.on('console', (message) => message.type() === 'warning' && this.warnings.push(message.text()));
    await page.goto(`${this.server.origin(host)}/${bundler}/index.html`);
    await page.waitForFunction(() => 'deltaDit' in globalThis);
    return page;
  }

  /** With four cores, of which tfjs takes two. */
  private async newVisitor(browser: Browser): Promise<BrowserContext> {
    const visitor = await browser.newContext();
    await visitor.addInitScript(() =>
      Object.defineProperty(Navigator.prototype, 'hardwareConcurrency', { get: () => 4 }),
    );
    return visitor;
  }

  private async start(vite: boolean, folders: Readonly<Record<string, string>>): Promise<void> {
    if (!existsSync('dist/browser/index.js')) throw new Error('the library is not built: npm run build');
    this.folder = mkdtempSync(join(tmpdir(), 'delta-dit-page-'));
    this.said.esbuild = await bundleWithEsbuild('test/browser/app', join(this.folder, 'esbuild'));
    if (vite) this.said.vite = await bundleWithVite('test/browser/vite-app', join(this.folder, 'vite'));
    this.started = await StaticServer.start({
      '/': this.folder,
      '/wasm': WASM_FOLDER,
      '/checkpoints': join(ROOT, 'checkpoints'),
      ...folders,
    });
    this.browser = await launchChromium([`--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`]);
  }

  private calm(): void {
    this.server.calm();
    this.errors.length = 0;
    this.warnings.length = 0;
  }

  private async stop(): Promise<void> {
    await this.browser?.close();
    await this.started?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
