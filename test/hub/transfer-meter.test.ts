import { type DownloadProgress, TransferMeter } from '../../src/hub/transfer-meter.ts';

/** A meter of 1,000 bytes, with a clock that is set by hand. */
function metered() {
  const reports: DownloadProgress[] = [];
  const clock = { now: 0 };
  const meter = new TransferMeter(
    'a/b',
    1_000,
    (progress) => reports.push(progress),
    () => clock.now,
  );
  return { meter, clock, last: () => reports.at(-1), count: () => reports.length };
}

it('adds up all files, and tells rate and time left of the last ten seconds', () => {
  const { meter, clock, last } = metered();
  meter.set('x', 400); // from an earlier download: it has no rate
  expect(last()).toMatchObject({ doneBytes: 400, totalBytes: 1_000, bytesPerSecond: 0, secondsLeft: undefined });
  clock.now = 2_000;
  meter.set('y', 100);
  expect(last()).toMatchObject({ doneBytes: 500, file: 'y', bytesPerSecond: 50, secondsLeft: 10 });
  clock.now = 11_000;
  meter.set('y', 200); // the first sample is too old
  expect(last()).toMatchObject({ doneBytes: 600, bytesPerSecond: 100 / 9 });
});

it('tells at most ten times a second, but the end in any case', () => {
  const { meter, clock, last, count } = metered();
  for (let i = 0; i < 100; i++) {
    clock.now += 10;
    meter.set('x', i);
  }
  expect(count()).toBeLessThan(12);
  meter.set('x', 1_000);
  expect(last()?.doneBytes).toBe(1_000);
});

it('goes back when a file starts again, and says when another process is waited for', () => {
  const { meter, clock, last } = metered();
  meter.set('x', 500);
  clock.now = 1_000;
  meter.set('x', 0);
  expect(last()).toMatchObject({ doneBytes: 0, bytesPerSecond: 0, secondsLeft: undefined });
  meter.set('y', 0, true);
  expect(last()).toMatchObject({ file: 'y', waiting: true });
});
