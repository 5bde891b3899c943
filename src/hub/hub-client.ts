import { OptionError } from '../errors.ts';
import { exchange } from './exchange.ts';
import { type HubFile, parseListing, parseRevision, unusable } from './listing.ts';
import { PATIENCE, type Patience, persist } from './persist.ts';
import { type ByteSink, receive } from './receive.ts';
import { type HubReference, isCommit, showReference } from './reference.ts';
import { type Asked, refusal } from './refusals.ts';

export interface HubAccess {
  /** Where the hub is, without a slash at its end. */
  readonly endpoint: string;
  /** Sent to the endpoint and to no other origin; never shown. */
  readonly token?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly patience?: Patience | undefined;
  readonly silenceMs?: number | undefined;
}

/** A model has some dozens of files, a page of its listing some kilobytes. */
const MAX_JSON_BYTES = 16 * 2 ** 20;
const MAX_PAGES = 100;
/** Who cannot be reached at all is told soon: a few seconds. */
const GREETING = 3;

const CHECK_NETWORK = 'check the network and HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to take what the cache has';

/** One model on the hub, over HTTP. Runs in Node and in browsers. */
export class HubClient {
  readonly where: string;
  private readonly asked: Asked;
  private readonly headers: Readonly<Record<string, string>>;

  /** @throws OptionError for an endpoint that is none and a token that no header can carry. */
  constructor(
    private readonly reference: HubReference,
    private readonly access: HubAccess,
  ) {
    const { endpoint, token } = access;
    const { repo, revision } = reference;
    if (!/^https?:\/\/[^/]/.test(endpoint) || !URL.canParse(endpoint))
      throw new OptionError(`HF_ENDPOINT: expected a URL as https://huggingface.co, got "${endpoint}"`);
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
      throw new OptionError('HF_TOKEN: expected a token as hf_…, got one with spaces or other signs in it');
    this.where = showReference(reference);
    this.asked = { model: this.where, repo, revision, endpoint, hasToken: token !== undefined };
    // compressed bytes could not be asked for in ranges
    this.headers = {
      'accept-encoding': 'identity',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
  }

  /** The commit that the revision stands for now. */
  async commit(): Promise<string> {
    const { repo, revision } = this.reference;
    if (isCommit(revision)) return revision;
    const path = `/api/models/${repo}/revision/${encodeURIComponent(revision)}`;
    return parseRevision(this.where, (await this.json(new URL(this.access.endpoint + path))).body);
  }

  /** All files of a commit. */
  async files(commit: string): Promise<readonly HubFile[]> {
    const { endpoint } = this.access;
    const files: HubFile[] = [];
    let page: URL | undefined = new URL(`${endpoint}/api/models/${this.reference.repo}/tree/${commit}?recursive=true`);
    for (let pages = 0; page; pages++) {
      if (pages === MAX_PAGES) throw unusable(this.where, 'its listing has no end');
      const { body, next }: { body: unknown; next: string | undefined } = await this.json(page);
      files.push(...parseListing(this.where, body));
      const following: URL | undefined = next === undefined ? undefined : new URL(next, page);
      // the token goes along
      if (following && following.origin !== page.origin) throw unusable(this.where, 'its listing goes on elsewhere');
      page = following;
    }
    return files;
  }

  /** Fetches into the sink what it lacks of a file, from where it stands. @throws as `receive` */
  async fetchFile(commit: string, { path, bytes }: HubFile, sink: ByteSink): Promise<void> {
    const { endpoint, signal, patience, silenceMs } = this.access;
    await receive(sink, {
      where: this.show(path),
      url: `${endpoint}/${this.reference.repo}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`,
      size: bytes,
      headers: this.headers,
      refusal: (response) => refusal(this.asked, response),
      signal,
      patience,
      silenceMs,
    });
  }

  /** A file, as shown in errors. */
  show(path: string): string {
    return `${this.reference.repo}/${path}`;
  }

  private async json(url: URL): Promise<{ body: unknown; next: string | undefined }> {
    const { signal, patience = PATIENCE, silenceMs } = this.access;
    const greeting = { ...patience, tries: Math.min(patience.tries, GREETING) };
    const ask = () =>
      exchange(url.href, { headers: this.headers, signal, silenceMs }, async (response, body) => {
        if (!response.ok) throw refusal(this.asked, response);
        const text = await this.text(body);
        const next = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
        return { body: this.parsed(text), next };
      });
    return persist(this.where, ask, { patience: greeting, signal, advice: CHECK_NETWORK });
  }

  private async text(body: AsyncIterable<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    let [text, length] = ['', 0];
    for await (const chunk of body) {
      length += chunk.length;
      if (length > MAX_JSON_BYTES) throw unusable(this.where, 'it does not stop sending');
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  }

  private parsed(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      throw unusable(this.where, 'it sends no JSON');
    }
  }
}
