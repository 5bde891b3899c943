import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DownloadOptions, downloadCheckpoint } from '../../src/hub/checkpoint-path.ts';
import { PARITY } from './fixtures.ts';
import { checksumOf, commitOf, filesOf, MockHub } from './mock-hub.ts';

/** The files of a model that the mock hub has as tiny/dit. */
export const FILES: Readonly<Record<string, Buffer>> = {
  ...filesOf(`${PARITY}/dit-tiny-diffusers`),
  'README.md': Buffer.from('# A model'),
};
export const COMMIT = commitOf({ files: FILES });
export const WEIGHTS = 'transformer/diffusion_pytorch_model.safetensors';
/** All that a pipeline reads. */
export const NEEDED = Object.keys(FILES).filter((path) => path !== 'README.md');

/** Variables that huggingface_hub reads, which no test takes from the user. */
const VARIABLES = ['HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE', 'HF_TOKEN', 'HF_HUB_DISABLE_SYMLINKS', 'HF_HUB_CACHE'];

/** A mock hub that has tiny/dit, and an empty cache for each test. */
export class TinyHub {
  hub = new MockHub();
  cacheDir = '';
  private environment: NodeJS.ProcessEnv = {};

  /** To be called where tests are described. */
  static forTests(): TinyHub {
    const tiny = new TinyHub();
    beforeAll(async () => {
      tiny.hub = await MockHub.start();
    });
    beforeEach(() => tiny.reset());
    afterEach(() => tiny.clear());
    afterAll(() => tiny.hub.stop());
    return tiny;
  }

  get options(): { readonly endpoint: string; readonly cacheDir: string } {
    return { endpoint: this.hub.endpoint, cacheDir: this.cacheDir };
  }

  download(name = 'tiny/dit', options: DownloadOptions = {}): Promise<string> {
    return downloadCheckpoint(name, { ...this.options, ...options });
  }

  /** A path in the cache's folder of tiny/dit. */
  model(...path: string[]): string {
    return join(this.cacheDir, 'models--tiny--dit', ...path);
  }

  blob(path: string): string {
    return this.model('blobs', checksumOf(contentOf(path)).checksum);
  }

  incomplete(path: string): string {
    return `${this.blob(path)}.delta-dit.incomplete`;
  }

  /** Ranges of the files that were asked for since. */
  fetched(): string[] {
    return this.hub.take().flatMap(({ path, range }) => (path.includes('/api/') ? [] : [range ?? 'all']));
  }

  /** Whatever lies in the cache is whole: blobs have their names' content, snapshots what they should. */
  expectOnlyWholeFiles(): void {
    const contents = new Map(Object.values(FILES).map((content) => [checksumOf(content).checksum, content]));
    const blobs = existsSync(this.model('blobs')) ? readdirSync(this.model('blobs')) : [];
    for (const name of blobs.filter((name) => !name.endsWith('.incomplete')))
      expect(contents.get(name)?.equals(readFileSync(this.model('blobs', name)))).toBe(true);
    const snapshot = this.model('snapshots', COMMIT);
    for (const [path, content] of Object.entries(existsSync(snapshot) ? filesOf(snapshot) : {}))
      expect(content.equals(contentOf(path))).toBe(true);
  }

  private reset(): void {
    this.environment = { ...process.env };
    for (const name of VARIABLES) delete process.env[name];
    this.cacheDir = mkdtempSync(join(tmpdir(), 'delta-dit-hub-'));
    process.env.HF_HOME = join(this.cacheDir, 'home');
    this.hub.calm();
    this.hub.models.clear();
    this.hub.add('tiny/dit', { files: FILES });
  }

  private clear(): void {
    process.env = this.environment;
    rmSync(this.cacheDir, { recursive: true, force: true });
  }
}

export function contentOf(path: string): Buffer {
  return FILES[path] ?? Buffer.alloc(0);
}

/** What a promise fails with. */
export async function failureOf(work: Promise<unknown>): Promise<Error> {
  return work.then(
    () => {
      throw new Error('did not fail');
    },
    (error: unknown) => error as Error,
  );
}
