import type { HubAccess } from '../../src/hub/hub-client.ts';
import { HubClient } from '../../src/hub/hub-client.ts';
import type { HubFile } from '../../src/hub/listing.ts';
import type { ByteSink } from '../../src/hub/receive.ts';
import { parseReference } from '../../src/hub/reference.ts';
import { checksumOf, commitOf, MockHub, randomBytes } from './mock-hub.ts';

export const LARGE = randomBytes(200_000, 1);
export const SMALL = Buffer.from('{"small": true}');
export const MODEL = { files: { 'config.json': SMALL, 'a dir/weights#1.safetensors': LARGE, c: SMALL, d: SMALL } };
export const WEIGHTS: HubFile = {
  path: 'a dir/weights#1.safetensors',
  bytes: LARGE.length,
  checksum: { algorithm: 'sha256', hex: checksumOf(LARGE).checksum },
};
const QUICK = { tries: 3, firstWaitMs: 1, longestWaitMs: 1_000 };

/** A mock hub with a model that is open, one that is private, and one that is gated. */
export class ThreeModels {
  hub = new MockHub();

  /** To be called where tests are described. */
  static forTests(): ThreeModels {
    const models = new ThreeModels();
    beforeAll(async () => {
      models.hub = await MockHub.start();
      models.hub.add('some/model', MODEL);
      models.hub.add('private/model', { ...MODEL, token: 'hf_secret' });
      models.hub.add('gated/model', { ...MODEL, token: 'hf_secret', gated: true });
    });
    beforeEach(() => models.hub.calm());
    afterAll(() => models.hub.stop());
    return models;
  }

  client(name = 'some/model', access: Partial<HubAccess> = {}): HubClient {
    return new HubClient(parseReference(name), { endpoint: this.hub.endpoint, patience: QUICK, ...access });
  }

  /** The sink, with the large file in it. */
  async fetched(sink = new LargeSink(), name = 'some/model', access: Partial<HubAccess> = {}): Promise<LargeSink> {
    await this.client(name, access).fetchFile(commitOf(MODEL), WEIGHTS, sink);
    return sink;
  }
}

/** A sink for the large file. @param there what is in it already */
export class LargeSink implements ByteSink {
  readonly bytes = new Uint8Array(LARGE.length);
  length = 0;
  restarts = 0;

  static async holding(there: Uint8Array): Promise<LargeSink> {
    const sink = new LargeSink();
    await sink.write(there);
    return sink;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  async restart(): Promise<void> {
    this.restarts += 1;
    this.length = 0;
  }

  isRight(): boolean {
    return this.length === LARGE.length && LARGE.equals(this.bytes);
  }
}
