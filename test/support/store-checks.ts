import type { CheckpointStore } from '../../src/hub/stores/checkpoint-store.ts';

/** One thing that every store does: what to do with an empty one, in a page too, and what that gives. */
export interface StoreCheck {
  readonly name: string;
  /** Stands alone: a page gets its text. */
  readonly run: (store: CheckpointStore) => Promise<unknown>;
  readonly expected: unknown;
}

/** The conformance suite of `CheckpointStore`. */
export const STORE_CHECKS: readonly StoreCheck[] = [
  {
    name: 'has nothing under a key that was not written',
    run: async (store) => [(await store.read('0a.0')) === undefined, await store.keys(), await store.remove('0a.0')],
    expected: [true, [], undefined],
  },
  {
    name: 'gives back what was written, whole and in pieces, and what replaced it',
    run: async (store) => {
      await store.write(
        '0a.0',
        Uint8Array.from({ length: 100_000 }, (_, i) => i * 7),
      );
      const first = await store.read('0a.0');
      const piece = first && [...(await first.read(50_000, 3))];
      await first?.close();
      await store.write('0a.0', Uint8Array.of(1, 2, 3));
      const second = await store.read('0a.0');
      const all = second && [...(await second.read(0, second.size))];
      await second?.close();
      return [first?.size, piece, second?.size, all];
    },
    expected: [100_000, [48, 55, 62], 3, [1, 2, 3]],
  },
  {
    name: 'keeps what it was given, not what becomes of it',
    run: async (store) => {
      const bytes = Uint8Array.of(1, 2, 3);
      await store.write('0a.0', bytes);
      bytes.fill(9);
      const source = await store.read('0a.0');
      const kept = source && [...(await source.read(0, 3))];
      await source?.close();
      return kept;
    },
    expected: [1, 2, 3],
  },
  {
    name: 'tells its keys, and forgets what is removed',
    run: async (store) => {
      for (const key of ['b.whole', 'a.0', 'a.1']) await store.write(key, Uint8Array.of(1));
      const keys = [...(await store.keys())].sort();
      await store.remove('a.0');
      const rest = [...(await store.keys())].sort();
      return [keys, rest, (await store.read('a.0')) === undefined];
    },
    expected: [['a.0', 'a.1', 'b.whole'], ['a.1', 'b.whole'], true],
  },
  {
    name: 'lets one at a time work under a key, also after one that failed, and others under others',
    run: async (store) => {
      const seen: string[] = [];
      let release = () => {};
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      const first = store.exclusively('a', { where: 'here' }, async () => {
        seen.push('first starts');
        await released;
        seen.push('first ends');
        throw new Error('failed');
      });
      while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      let waits = 0;
      const second = store.exclusively('a', { where: 'here', onWait: () => waits++ }, async () => seen.push('second'));
      await store.exclusively('b', { where: 'here' }, async () => seen.push('other'));
      while (waits === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      release();
      const failure = await first.catch((error) => error.message);
      await second;
      return [failure, seen];
    },
    expected: ['failed', ['first starts', 'other', 'first ends', 'second']],
  },
  {
    name: 'stops waiting when it is told to',
    run: async (store) => {
      let release = () => {};
      let isHeld = false;
      const held = store.exclusively('a', { where: 'here' }, async () => {
        isHeld = true;
        await new Promise<void>((resolve) => {
          release = resolve;
        });
      });
      while (!isHeld) await new Promise((resolve) => setTimeout(resolve, 1));
      const stop = new AbortController();
      setTimeout(() => stop.abort(), 20);
      const options = { where: 'here', signal: stop.signal };
      const outcome = await store.exclusively('a', options, async () => 'ran').catch((error) => error.name);
      release();
      await held;
      return [outcome, await store.exclusively('a', { where: 'here' }, async () => 'free again')];
    },
    expected: ['AbortError', 'free again'],
  },
  {
    name: 'says how much room there is, or that nobody knows',
    run: async (store) => {
      const room = await store.room();
      return [store.name.length > 0, store.remedy.length > 0, room === undefined || room > 1_000_000];
    },
    expected: [true, true, true],
  },
];
