import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Mischief, plain, sendContent } from './send-content.ts';

/** A request that the hub or its file store got. */
export interface Asked {
  readonly host: 'hub' | 'store';
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

export interface MockModel {
  readonly files: Readonly<Record<string, Buffer>>;
  /** Revisions besides the commit itself. Default: main. */
  readonly revisions?: readonly string[];
  /** Only for those who send this token. */
  readonly token?: string;
  readonly gated?: boolean;
}

/** Files of this size and above are in the store of large files, as with Git LFS. */
const LARGE = 4096;
const PAGE = 3;

/** A Hugging Face hub on localhost, and a second server, of another origin, that its large files are redirected to. */
export class MockHub {
  readonly asked: Asked[] = [];
  readonly models = new Map<string, MockModel>();
  /** Asked for each answer that brings a file, in order. */
  mischief: (path: string, host: Asked['host'], range: string | undefined) => Mischief = () => ({});
  /** Answers instead of the API, when it gives a status. */
  apiStatus: () => { status: number; headers?: Record<string, string> } | undefined = () => undefined;
  /** Of the listing, before it is sent. */
  changeListing: (entries: Record<string, unknown>[]) => unknown = (entries) => entries;
  /** Where the next page of a listing is. */
  nextPage: (url: string) => string = (url) => url;
  private readonly servers: Server[] = [];
  endpoint = '';
  store = '';

  static async start(): Promise<MockHub> {
    const hub = new MockHub();
    hub.endpoint = await hub.listen('hub');
    hub.store = await hub.listen('store');
    return hub;
  }

  async stop(): Promise<void> {
    for (const server of this.servers) {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
  }

  add(repo: string, model: MockModel): void {
    this.models.set(repo, model);
  }

  /** What was asked of the servers since the last call. */
  take(): Asked[] {
    return this.asked.splice(0);
  }

  /** Everything behaves again, and nothing was asked. */
  calm(): void {
    this.mischief = () => ({});
    this.apiStatus = () => undefined;
    this.changeListing = (entries) => entries;
    this.nextPage = (url) => url;
    this.take();
  }

  private async listen(host: Asked['host']): Promise<string> {
    const server = createServer((request, response) => {
      void this.answer(host, request, response).catch(() => response.destroy());
    });
    this.servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  private async answer(host: Asked['host'], request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://mock');
    response.setHeader('access-control-allow-origin', '*'); // as the hub lets pages read it
    response.setHeader('access-control-expose-headers', 'link, content-range, x-error-code, x-error-message');
    const path = decodeURIComponent(url.pathname);
    const { authorization, range } = request.headers;
    this.asked.push({ host, path, range, authorization });
    const [, api, repo = '', rest = ''] = /^(\/api\/models)?\/([^/]+\/[^/]+)(?:\/(.*))?$/.exec(path) ?? [];
    if (host === 'store') return this.sendStored(path.slice(1), request, response);
    const model = this.models.get(repo);
    const refused = refusal(model, authorization) ?? (api ? this.apiStatus() : undefined);
    if (!model || refused) return plain(response, refused?.status ?? 404, refused?.headers ?? {});
    if (api) return this.sendApi(repo, model, url, rest, response);
    const [, revision = '', file = ''] = /^resolve\/([^/]+)\/(.+)$/.exec(rest) ?? [];
    return this.sendFile(model, revision, file, request, response);
  }

  private sendApi(repo: string, model: MockModel, url: URL, rest: string, response: ServerResponse): void {
    const [, what, revision = ''] = /^(revision|tree)\/(.+)$/.exec(rest) ?? [];
    if (!isRevision(model, revision)) plain(response, 404, { 'x-error-code': 'RevisionNotFound' });
    else if (what === 'revision') json(response, { id: repo, sha: commitOf(model) });
    else this.sendPage(model, url, response);
  }

  private sendPage(model: MockModel, url: URL, response: ServerResponse): void {
    const all = Object.entries(model.files).map(([path, content]) => entryOf(path, content));
    const first = Number(url.searchParams.get('cursor') ?? 0);
    const next = new URL(url.pathname + url.search, this.endpoint);
    next.searchParams.set('cursor', String(first + PAGE));
    const link = first + PAGE < all.length ? { link: `<${this.nextPage(next.href)}>; rel="next"` } : {};
    json(response, this.changeListing(all.slice(first, first + PAGE)), link);
  }

  private async sendFile(
    model: MockModel,
    revision: string,
    file: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const content = model.files[file];
    const commit = { 'x-repo-commit': commitOf(model) };
    if (!isRevision(model, revision) || !content)
      return plain(response, 404, { ...commit, 'x-error-code': 'EntryNotFound' });
    const { checksum } = checksumOf(content);
    if (content.length < LARGE)
      return this.send(file, 'hub', content, request, response, { ...commit, etag: `"${checksum}"` });
    const linked = { 'x-linked-etag': `"${checksum}"`, 'x-linked-size': String(content.length) };
    plain(response, 302, { ...commit, ...linked, location: `${this.store}/${checksum}` });
  }

  private async sendStored(checksum: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const model of this.models.values()) {
      for (const [file, content] of Object.entries(model.files)) {
        if (checksumOf(content).checksum === checksum) return this.send(file, 'store', content, request, response, {});
      }
    }
    plain(response, 404, {});
  }

  private async send(
    file: string,
    host: Asked['host'],
    content: Buffer,
    request: IncomingMessage,
    response: ServerResponse,
    headers: Record<string, string>,
  ): Promise<void> {
    const { range } = request.headers;
    await sendContent(content, request, response, { headers, mischief: this.mischief(file, host, range) });
  }
}

function refusal(
  model: MockModel | undefined,
  authorization: string | undefined,
): { status: number; headers: Record<string, string> } | undefined {
  if (!model) return { status: authorization ? 404 : 401, headers: { 'x-error-code': 'RepoNotFound' } };
  const knows = model.token === undefined || authorization === `Bearer ${model.token}`;
  if (knows) return undefined;
  if (model.gated) return { status: authorization ? 403 : 401, headers: { 'x-error-code': 'GatedRepo' } };
  if (authorization)
    return { status: 401, headers: { 'x-error-message': 'Invalid credentials in Authorization header' } };
  return { status: 401, headers: { 'x-error-code': 'RepoNotFound' } };
}

function isRevision(model: MockModel, revision: string): boolean {
  return revision === commitOf(model) || (model.revisions ?? ['main']).includes(revision);
}

/** Another with other content, as git's. */
export function commitOf({ files }: MockModel): string {
  const hash = createHash('sha1');
  for (const [path, content] of Object.entries(files)) hash.update(path).update(content);
  return hash.digest('hex');
}

/** What a file is called in the cache. */
export function checksumOf(content: Buffer): { readonly checksum: string; readonly gitSha1: string } {
  const gitSha1 = createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex');
  return { checksum: content.length < LARGE ? gitSha1 : createHash('sha256').update(content).digest('hex'), gitSha1 };
}

function entryOf(path: string, content: Buffer): Record<string, unknown> {
  const { checksum, gitSha1 } = checksumOf(content);
  const lfs = content.length < LARGE ? {} : { lfs: { oid: checksum, size: content.length, pointerSize: 130 } };
  return { type: 'file', path, oid: gitSha1, size: content.length, ...lfs };
}

function json(response: ServerResponse, value: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

/** The files of a folder, as a model has them. */
export function filesOf(folder: string, prefix = ''): Record<string, Buffer> {
  const files: Record<string, Buffer> = {};
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()) {
    const path = join(folder, name);
    if (statSync(path).isFile()) files[prefix + name.replaceAll('\\', '/')] = readFileSync(path);
  }
  return files;
}

/** Bytes that look like weights: the same for the same seed, and nowhere the same. */
export function randomBytes(count: number, seed: number): Buffer {
  const bytes = Buffer.alloc(count);
  let state = seed + 1;
  for (let i = 0; i < count; i++) {
    state = (state * 1664525 + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}
