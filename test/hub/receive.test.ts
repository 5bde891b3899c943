import { AbortError, HubError } from '../../src/errors.ts';
import type { Mischief } from '../support/send-content.ts';
import { LARGE, LargeSink, ThreeModels } from '../support/three-models.ts';
import { failureOf } from '../support/tiny-hub.ts';

const models = ThreeModels.forTests();

/** Ranges that the file store was asked for. */
const ranges = () => models.hub.take().flatMap(({ host, range }) => (host === 'store' ? [range ?? 'all'] : []));

/** Does each of these to one answer of the file store, in turn, and then behaves. */
function misbehave(...mischiefs: readonly Mischief[]): void {
  const queue = [...mischiefs];
  models.hub.mischief = (_, host) => (host === 'store' ? (queue.shift() ?? {}) : {});
}

describe('a file', () => {
  it('arrives, from the other origin that the hub redirects to', async () => {
    expect((await models.fetched()).isRight()).toBe(true);
    expect(ranges()).toEqual(['all']);
  });

  it('arrives from where the sink stands; nothing is asked where all is there', async () => {
    expect((await models.fetched(await LargeSink.holding(LARGE.subarray(0, 150_000)))).isRight()).toBe(true);
    expect(ranges()).toEqual(['bytes=150000-']);
    await models.fetched(await LargeSink.holding(LARGE));
    expect(ranges()).toEqual([]);
  });

  it('goes on where the connection was cut, or an answer ended early', async () => {
    misbehave({ cutAfter: 50_000 }, { endAfter: 40_000 }, { cutAfter: 1 });
    const sink = await models.fetched();
    expect(sink.isRight()).toBe(true);
    expect(sink.restarts).toBe(0);
    const asked = ranges();
    expect(asked).toHaveLength(4);
    expect(asked[0]).toBe('all');
    expect(asked.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range))).toBe(true);
  });

  it('starts again where the server has no ranges, and is given up when that leads nowhere', async () => {
    misbehave({ cutAfter: 100_000 }, { noRanges: true });
    const sink = await models.fetched();
    expect(sink.isRight()).toBe(true);
    expect(sink.restarts).toBe(1);
    models.hub.mischief = (_, host) => (host === 'store' ? { noRanges: true, cutAfter: 100_000 } : {});
    const error = await failureOf(models.fetched());
    expect(error).toBeInstanceOf(HubError);
    expect(error.message).toMatch(/some\/model\/a dir\/weights#1\.safetensors: .*, 3 times; what has arrived is kept/);
  });

  it('starts again where the server has nothing to go on with', async () => {
    misbehave({ status: 416 });
    const sink = await models.fetched(await LargeSink.holding(Buffer.alloc(1000)));
    expect([sink.isRight(), sink.restarts]).toEqual([true, 1]);
  });

  it.each([500, 502, 503, 504, 429])('is asked for again after a %i', async (status) => {
    misbehave({ status }, { status });
    expect((await models.fetched()).isRight()).toBe(true);
  });

  it('is given up when failures do not pass, or the server wants more time than we have', async () => {
    models.hub.mischief = () => ({ status: 503 });
    await expect(models.fetched()).rejects.toThrow(/the hub is out of order \(503\), 3 times/);
    models.hub.mischief = () => ({ status: 429, headers: { 'retry-after': '3600' } });
    await expect(models.fetched()).rejects.toThrow(/too many requests \(429\); try again in 3600 s/);
    models.hub.mischief = () => ({ status: 429, headers: { ratelimit: '"resolvers";r=0;t=77' } });
    await expect(models.fetched()).rejects.toThrow(/try again in 77 s/);
  });

  it('waits as long as the server asks', async () => {
    misbehave({ status: 429, headers: { 'retry-after': '1' } });
    const start = performance.now();
    await models.fetched();
    expect(performance.now() - start).toBeGreaterThan(990);
  });

  it('is asked for again when the server falls silent', async () => {
    misbehave({ silentAfter: 30_000 });
    expect((await models.fetched(new LargeSink(), 'some/model', { silenceMs: 200 })).isRight()).toBe(true);
  });

  it.each([
    ['is longer than listed', { extra: 10 }],
    ['is longer than listed and does not say so', { extra: 10, endAfter: LARGE.length + 10 }],
    ['is another, of which a part is asked', { extra: 10, cutAfter: 100 }],
  ])('is refused when it %s', async (_, mischief) => {
    models.hub.mischief = () => mischief;
    const error = await failureOf(models.fetched(await LargeSink.holding(LARGE.subarray(0, 1000))));
    expect(error).toBeInstanceOf(HubError);
    expect(error.message).toMatch(/has another file than it listed/);
  });

  it('is refused when the server sends bytes of another place', async () => {
    misbehave({ headers: { 'content-range': `bytes 5-${LARGE.length - 1}/${LARGE.length}` } });
    await expect(models.fetched(await LargeSink.holding(LARGE.subarray(0, 1000)))).rejects.toThrow(
      /asked for bytes from 1000, got "bytes 5-/,
    );
  });

  it('keeps what has arrived when it is stopped', async () => {
    const stop = new AbortController();
    models.hub.mischief = () => ({ slowly: 20 });
    const sink = new LargeSink();
    const work = failureOf(models.fetched(sink, 'some/model', { signal: stop.signal }));
    while (sink.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    stop.abort();
    expect(await work).toBeInstanceOf(AbortError);
    expect(LARGE.subarray(0, sink.length).equals(sink.bytes.subarray(0, sink.length))).toBe(true);
    expect(sink.length).toBeLessThan(LARGE.length);
    const error = await failureOf(models.client('some/model', { signal: stop.signal }).commit());
    expect(error).toBeInstanceOf(AbortError);
  });
});
