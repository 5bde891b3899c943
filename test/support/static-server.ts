import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { type Mischief, plain, sendContent } from './send-content.ts';

/** A request that the server got. */
export interface Requested {
  readonly path: string;
  readonly range: string | undefined;
  /** The sender has it already, unless it has changed. */
  readonly conditional: boolean;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
  '.png': 'image/png',
};

/** A web server on localhost that serves folders, with byte ranges. Pages are cross-origin isolated, and others may read. */
export class StaticServer {
  /** Requests since the last `take`. */
  private readonly requested: Requested[] = [];
  /** What goes wrong with an answer. */
  mischief: (path: string, range: string | undefined) => Mischief = () => ({});
  /** Whether pages may share memory between threads. */
  isolated = true;
  /** Answers what is not there with this page, as servers of single-page apps do. */
  fallback: string | undefined;

  private constructor(
    private readonly server: Server,
    private readonly folders: Readonly<Record<string, string>>,
  ) {}

  /** @param folders by the path that they are served under, as `{ '/': 'dist', '/models': 'checkpoints' }` */
  static async start(folders: Readonly<Record<string, string>>): Promise<StaticServer> {
    const server = createServer();
    const served = new StaticServer(server, folders);
    server.on('request', (request, response) => {
      void served.answer(request, response).catch(() => response.destroy());
    });
    server.listen(0);
    await once(server, 'listening');
    return served;
  }

  /** Of localhost, which browsers take for a secure context. @param host another name or address of this machine */
  origin(host = 'localhost'): string {
    return `http://${host}:${(this.server.address() as AddressInfo).port}`;
  }

  /** What was asked since the last call. */
  take(): Requested[] {
    return this.requested.splice(0);
  }

  /** Everything behaves again, and nothing was asked. */
  calm(): void {
    this.mischief = () => ({});
    this.isolated = true;
    this.fallback = undefined;
    this.take();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname);
    const { range } = request.headers;
    const known = request.headers['if-none-match'];
    this.requested.push({ path, range, conditional: known !== undefined });
    const file = this.fileOf(path);
    if (file === undefined && this.fallback === undefined) return plain(response, 404, this.headersOf(path));
    const content = file === undefined ? Buffer.from(this.fallback ?? '') : readFileSync(file);
    const etag = `"${createHash('sha1').update(content).digest('hex')}"`;
    const headers = { ...this.headersOf(file ?? '.html'), etag };
    const mischief = this.mischief(path, range);
    if (known === etag && mischief.status === undefined) return plain(response, 304, headers);
    await sendContent(content, request, response, { headers, mischief });
  }

  private headersOf(file: string): Record<string, string> {
    const isolation = {
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-embedder-policy': 'require-corp',
    };
    return {
      'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
      'cache-control': 'no-cache',
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
      ...(this.isolated ? isolation : {}),
    };
  }

  private fileOf(path: string): string | undefined {
    const prefixes = Object.keys(this.folders).sort((a, b) => b.length - a.length);
    const prefix = prefixes.find((prefix) => path === prefix || path.startsWith(prefix.replace(/\/?$/, '/')));
    if (prefix === undefined) return undefined;
    const file = join(this.folders[prefix] ?? '', normalize(`/${path.slice(prefix.length)}`));
    if (!existsSync(file)) return undefined;
    if (!statSync(file).isDirectory()) return file;
    return existsSync(join(file, 'index.html')) ? join(file, 'index.html') : undefined;
  }
}
