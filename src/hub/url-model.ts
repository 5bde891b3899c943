import { CACHE_PLAN_NAME, componentsOf, MANIFEST_NAME, parseManifest } from '../checkpoint/manifest.ts';
import { HubError, OptionError } from '../errors.ts';
import { exchange } from './exchange.ts';
import type { HubFile } from './listing.ts';
import { PATIENCE, PassingFailure, type Patience, persist } from './persist.ts';
import { type ByteSink, receive } from './receive.ts';
import type { ModelListing, RemoteModel } from './remote-model.ts';

/** How a server is asked. */
export interface UrlAccess {
  readonly signal?: AbortSignal | undefined;
  readonly patience?: Patience | undefined;
  readonly silenceMs?: number | undefined;
  readonly onWarning: (message: string) => void;
}

/** A manifest has some kilobytes. */
const MAX_TEXT_BYTES = 16 * 2 ** 20;
/** Who cannot be reached at all is told soon: a few seconds. */
const GREETING = 3;
const BUSY = new Set([408, 425, 429, 500, 502, 503, 504]);
const REMEDY = 'put the converted folder on the server again';

/**
 * A converted folder on a web server, by its URL. What it has stands in its manifest, which is asked for with every
 * visit; the rest is asked for where it is not kept.
 */
export class UrlModel implements RemoteModel {
  /** Without what stands behind a question mark, which may be a secret. */
  readonly where: string;
  readonly remedy = REMEDY;
  private readonly folder: URL;
  private told = false;

  /** @param url of the folder, or of the manifest.json in it @throws OptionError for a URL that is none */
  constructor(
    url: string,
    private readonly access: UrlAccess,
  ) {
    if (!URL.canParse(url)) throw new OptionError(`${url}: expected a URL as https://example.org/dit`);
    this.folder = new URL(url);
    this.folder.hash = '';
    this.folder.pathname = this.folder.pathname.replace(/\/(manifest\.json)?$/, '');
    this.where = `${this.folder.origin}${this.folder.pathname}`.replace(/\/$/, '');
  }

  /** @throws HubError when there is no such folder; CheckpointError for a damaged manifest */
  async listing(): Promise<ModelListing> {
    const manifestText = await this.manifest();
    const manifest = parseManifest(this.show(MANIFEST_NAME), manifestText);
    const plan = await this.text(CACHE_PLAN_NAME);
    const cachePlan = plan.isPage || plan.status !== 200 ? undefined : plan.text;
    const weights = [...componentsOf(manifest).values()].flatMap(({ files }) => files);
    const others = manifest.pipeline === 'PixArtPipeline' ? manifest.tokenizer : [];
    const files = [...weights, ...others].map(({ name, bytes, sha256 }): [string, HubFile] => [
      name,
      { path: name, bytes, checksum: { algorithm: 'sha256', hex: sha256 } },
    ]);
    const texts: [string, string][] = cachePlan === undefined ? [] : [[CACHE_PLAN_NAME, cachePlan]];
    return { files: new Map(files), texts: new Map([[MANIFEST_NAME, manifestText], ...texts]) };
  }

  show(path: string): string {
    return `${this.where}/${path}`;
  }

  private async manifest(): Promise<string> {
    const { status, text, isPage } = await this.text(MANIFEST_NAME);
    const where = this.show(MANIFEST_NAME);
    if (status === 200 && !isPage) return text;
    const got = isPage && status === 200 ? 'got a web page' : `got HTTP ${status}`;
    throw new HubError(
      `${where}: expected the manifest of a converted checkpoint, ${got}; give the URL of a folder that "delta-dit convert" wrote, and serve all of it`,
    );
  }

  /** A small file, asked for anew and not taken from a browser's cache unless the server says that it is the same. */
  private text(name: string): Promise<{ status: number; text: string; isPage: boolean }> {
    const { signal, patience = PATIENCE, silenceMs } = this.access;
    const where = this.show(name);
    const ask = () =>
      exchange(this.address(name), { headers: {}, signal, silenceMs, cache: 'no-cache' }, async (response, body) => {
        const { status, headers } = response;
        if (BUSY.has(status)) throw new PassingFailure(`the server is out of order (HTTP ${status})`);
        const text = status === 200 ? await wholeText(where, body) : '';
        const isPage = /^text\/html\b/.test(headers.get('content-type') ?? '') || /^\s*</.test(text);
        return { status, text, isPage };
      });
    const greeting = { ...patience, tries: Math.min(patience.tries, GREETING) };
    return persist(where, ask, { patience: greeting, signal, advice: ADVICE });
  }

  async fetchFile({ path, bytes }: HubFile, sink: ByteSink): Promise<void> {
    const { signal, patience, silenceMs } = this.access;
    const where = this.show(path);
    await receive(sink, {
      where,
      url: this.address(path),
      size: bytes,
      headers: { 'accept-encoding': 'identity' }, // compressed bytes could not be asked for in ranges
      refusal: ({ status }) =>
        BUSY.has(status)
          ? new PassingFailure(`the server is out of order (HTTP ${status})`)
          : new HubError(`${where}: got HTTP ${status} for a file that the manifest names; ${REMEDY}`),
      remedy: REMEDY,
      onRestart: () => this.tellOnce(),
      cache: 'no-store', // it is kept already
      signal,
      patience,
      silenceMs,
    });
  }

  private tellOnce(): void {
    if (this.told) return;
    this.told = true;
    this.access.onWarning(
      `${this.folder.host} sends no byte ranges, so that what was cut starts again from the beginning; a server that knows them goes on`,
    );
  }

  private address(name: string): string {
    const url = new URL(this.folder);
    url.pathname = `${url.pathname.replace(/\/$/, '')}/${encodeURIComponent(name)}`;
    return url.href;
  }
}

const ADVICE = 'check the address and the network, and that the server lets pages of other origins read it (CORS)';

async function wholeText(where: string, body: AsyncIterable<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let [text, length] = ['', 0];
  for await (const chunk of body) {
    length += chunk.length;
    if (length > MAX_TEXT_BYTES)
      throw new HubError(`${where}: does not stop sending; give the URL of a converted folder`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
