import { HubError, OptionError } from '../../src/errors.ts';
import { checksumOf, commitOf, MockHub } from '../support/mock-hub.ts';
import { LargeSink, MODEL, SMALL, ThreeModels, WEIGHTS } from '../support/three-models.ts';
import { failureOf } from '../support/tiny-hub.ts';

const models = ThreeModels.forTests();

describe('a listing', () => {
  it('has all pages, sizes, and checksums of the content', async () => {
    const files = await models.client().files(await models.client().commit());
    expect(files.map(({ path }) => path)).toEqual(Object.keys(MODEL.files));
    expect(files[1]).toEqual(WEIGHTS);
    expect(files[0]?.checksum).toEqual({ algorithm: 'git-sha1', hex: checksumOf(SMALL).gitSha1 });
  });

  it('is of the commit that a revision stands for', async () => {
    expect(await models.client().commit()).toBe(commitOf(MODEL));
    expect(await models.client(`some/model@${commitOf(MODEL)}`).commit()).toBe(commitOf(MODEL));
  });

  it.each([
    ['../../etc/passwd', /expected a path inside/],
    ['/etc/passwd', /expected a path inside/],
    ['a\\..\\b', /expected a path inside/],
  ])('never names a file outside, as %s', async (path, message) => {
    models.hub.changeListing = (entries) => entries.map((entry) => ({ ...entry, path }));
    await expect(models.client().files(commitOf(MODEL))).rejects.toThrow(message);
  });

  it.each([
    ['no list', () => ({ error: 'x' })],
    ['a size that is none', (entries: Record<string, unknown>[]) => entries.map((entry) => ({ ...entry, size: -1 }))],
    [
      'a checksum that is none',
      (entries: Record<string, unknown>[]) => entries.map((entry) => ({ ...entry, oid: '../x' })),
    ],
    ['no checksum', (entries: Record<string, unknown>[]) => entries.map(({ type, path }) => ({ type, path }))],
  ])('is refused with %s', async (_, change) => {
    models.hub.changeListing = change;
    const error = await failureOf(models.client().files(commitOf(MODEL)));
    expect(error).toBeInstanceOf(HubError);
    expect(error.message).toMatch(/does not answer as a hub does; check HF_ENDPOINT/);
  });

  it('does not go on at another origin, where the token would go, nor for ever', async () => {
    models.hub.nextPage = () => `${models.hub.store}/api/models/some/model/tree/x`;
    await expect(models.client().files(commitOf(MODEL))).rejects.toThrow(/goes on elsewhere/);
    models.hub.nextPage = (url) => url.replace(/cursor=\d+/, 'cursor=0');
    await expect(models.client().files(commitOf(MODEL))).rejects.toThrow(/has no end/);
  });
});

describe('the token', () => {
  it('goes to the hub, and to no other origin', async () => {
    await models.fetched(new LargeSink(), 'private/model', { token: 'hf_secret' });
    const asked = models.hub.take();
    expect(asked.map(({ host, authorization }) => [host, authorization])).toEqual([
      ['hub', 'Bearer hf_secret'],
      ['store', undefined],
    ]);
  });

  it('goes along with every page of a listing', async () => {
    await models.client('private/model', { token: 'hf_secret' }).files(commitOf(MODEL));
    expect(models.hub.take().map(({ authorization }) => authorization)).toEqual([
      'Bearer hf_secret',
      'Bearer hf_secret',
    ]);
  });

  it('is never shown', async () => {
    for (const token of ['hf_wrong', 'hf_ wrong', 'hf_wrong\nx']) {
      const error = await failureOf((async () => models.client('private/model', { token }).commit())());
      expect(`${error.message} ${String(error.cause)} ${error.stack}`).not.toMatch(/wrong/);
    }
    expect(() => models.client('a/b', { token: 'hf_ wrong' })).toThrow(OptionError);
  });
});

describe('what to do', () => {
  it.each([
    [
      'no/model',
      undefined,
      /^no\/model: is neither a path here nor a model of http:.*log in .*check the name \(HTTP 401\)$/,
    ],
    ['no/model', 'hf_secret', /^no\/model: .*or the token may not see it; check the name \(HTTP 404\)$/],
    ['private/model', undefined, /or it is private: log in \("hf auth login", or HF_TOKEN\)/],
    [
      'private/model',
      'hf_wrong',
      /the hub refuses the token; make one at http:.*\/settings\/tokens and give it as HF_TOKEN/,
    ],
    ['gated/model', undefined, /accept its conditions; do so at http:.*\/gated\/model with your account, and log in/],
    ['gated/model', 'hf_wrong', /accept its conditions; do so at http:.*\/gated\/model with the account of the token/],
    ['some/model@v9', undefined, /^some\/model@v9: there is no branch, tag or commit "v9"; see http:.*\/some\/model/],
  ])('is said of %s with token %s', async (name, token, message) => {
    const error = await failureOf(models.client(name, { token }).commit());
    expect(error).toBeInstanceOf(HubError);
    expect(error.message).toMatch(message);
  });

  it('is said of a hub that cannot be reached, is out of order, or is none', async () => {
    const elsewhere = { endpoint: 'http://127.0.0.1:1' };
    const nobody = await MockHub.start();
    elsewhere.endpoint = nobody.endpoint;
    await nobody.stop();
    const message =
      /the connection to 127\.0\.0\.1:\d+ failed \(ECONNREFUSED\), 3 times; check the network and HF_ENDPOINT, or set HF_HUB_OFFLINE=1/;
    await expect(models.client('some/model', elsewhere).commit()).rejects.toThrow(message);
    models.hub.apiStatus = () => ({ status: 502 });
    await expect(models.client().commit()).rejects.toThrow(
      /the hub is out of order \(502\), 3 times; check the network/,
    );
    models.hub.apiStatus = () => ({ status: 200 });
    await expect(models.client().commit()).rejects.toThrow(/it sends no JSON/);
    models.hub.apiStatus = () => ({ status: 403 });
    await expect(models.client().commit()).rejects.toThrow(
      /the token may not read this model; give one that may as HF_TOKEN/,
    );
  });

  it.each(['huggingface.co', 'ftp://huggingface.co', 'http://', ''])('is said of %j as endpoint', (endpoint) => {
    expect(() => models.client('a/b', { endpoint })).toThrow(
      /HF_ENDPOINT: expected a URL as https:\/\/huggingface\.co/,
    );
  });
});
