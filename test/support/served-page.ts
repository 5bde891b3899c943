import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { launchChromium } from './chromium.ts';
import { ROOT } from './source-imports.ts';

const VITE = join(ROOT, 'node_modules/vite/bin/vite.js');

/** The page of src/web as `npm run web` builds and serves it, and a browser to visit it. */
export class ServedPage {
  private folder = '';
  private server: ChildProcess | undefined;
  private browser: Browser | undefined;
  private url = '';
  private readonly complaints: string[] = [];

  /** To be called where tests are described. @param flags of Chromium */
  static forTests(flags: readonly string[] = []): ServedPage {
    const served = new ServedPage();
    beforeAll(() => served.start(flags));
    afterAll(() => served.stop());
    return served;
  }

  /** The page of a visitor with nothing kept. */
  async open(options: BrowserContextOptions = {}): Promise<Page> {
    if (!this.browser) throw new Error('the browser has not started');
    const context = await this.browser.newContext(options);
    const page = await context.newPage();
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(error.message));
    await page.goto(this.url);
    return page;
  }

  /** What pages wrote to the console as errors and warnings since the last call. */
  takeComplaints(): string[] {
    return this.complaints.splice(0);
  }

  private async start(flags: readonly string[]): Promise<void> {
    this.folder = mkdtempSync(join(tmpdir(), 'delta-dit-web-'));
    const outDir = ['--outDir', this.folder];
    const build = promisify(execFile)('node', [VITE, 'build', '--emptyOutDir', '--logLevel', 'warn', ...outDir], {
      cwd: ROOT,
    });
    const [browser] = await Promise.all([launchChromium(flags), build]);
    this.browser = browser;
    this.server = spawn('node', [VITE, 'preview', ...outDir, '--port', String(await freePort()), '--strictPort'], {
      cwd: ROOT,
      env: { ...process.env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.url = await urlOf(this.server);
  }

  private async stop(): Promise<void> {
    await this.browser?.close();
    if (this.server?.exitCode === null) {
      this.server.kill();
      await once(this.server, 'close');
    }
    if (this.folder) rmSync(this.folder, { recursive: true });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const address = server.address();
  await promisify(server.close.bind(server))();
  if (address === null || typeof address === 'string') throw new Error('no port is free');
  return address.port;
}

/** What Vite says that it serves. */
function urlOf(server: ChildProcess): Promise<string> {
  let said = '';
  return new Promise((resolve, reject) => {
    server.stdout?.on('data', (text) => {
      said += String(text);
      const [url] = /http:\/\/\S+/.exec(said) ?? [];
      if (url) resolve(url);
    });
    server.once('close', () => reject(new Error(`the page is not served: ${said}`)));
  });
}
