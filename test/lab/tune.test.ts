import { type LabMethod, uncached } from '../../src/lab/lab-method.ts';
import { type Search, tuneWith } from '../../src/lab/tune.ts';

/** A search in which speed costs quality: 40 dB less 4 dB for each time faster, 1 dB more where timesteps are placed. */
function pretended({ slower = 1, worse = 0 }: { slower?: number; worse?: number } = {}) {
  const asked: number[] = [];
  const speeds = new Map<string, number>();
  const qualityAt = (speed: number) => 40 - 4 * speed;
  const methodAt = (speed: number, name = ''): LabMethod => {
    const method = { ...uncached('deis', 5), name: `${speed.toFixed(3)}${name}` };
    speeds.set(method.name, speed);
    return method;
  };
  const search: Search = {
    bestAt: async (speed) => {
      asked.push(speed);
      if (speed > 10) return [];
      return [0, 1].map((less) => ({ method: methodAt(speed, ` ${less}`), psnr: qualityAt(speed) - less }));
    },
    placed: async ({ method, psnr }) => {
      const speed = speeds.get(method.name) ?? 1;
      return { method: methodAt(speed, ' placed'), psnr: psnr + 1 };
    },
    decide: async (methods) =>
      methods.map((method) => {
        const speed = (speeds.get(method.name) ?? 1) * slower;
        const psnr = qualityAt(speeds.get(method.name) ?? 1) + (method.name.endsWith('placed') ? 1 : 0) - worse;
        return {
          method,
          speedup: speed,
          speedups: { min: speed, median: speed, max: speed, spread: 0 },
          psnr,
          pictures: 9,
        };
      }),
  };
  return { search, asked };
}

it('takes the nearest pictures of what is fast enough', async () => {
  const { search, asked } = pretended();
  const { best, nearest, tried } = await tuneWith(search, { targetSpeedup: 2.5 });
  expect(asked).toHaveLength(1);
  expect([best?.method.name, nearest]).toEqual(['2.575 placed', best]);
  expect(tried).toHaveLength(3);
});

it('searches on where ways turn out slower than was expected', async () => {
  const { search, asked } = pretended({ slower: 0.9 });
  const { best } = await tuneWith(search, { targetSpeedup: 2.5 });
  expect(asked).toHaveLength(2);
  expect(best?.speedup).toBeCloseTo(2.575, 10);
});

it('takes the fastest of what is near enough, by halving', async () => {
  const { search, asked } = pretended();
  const { best } = await tuneWith(search, { minPsnr: 30 });
  expect(best?.method.name).toBe('2.500 placed'); // 31 dB; 2.2 without
  expect(asked.length).toBeLessThan(6);
});

it('goes to slower ones where held-out pictures are worse', async () => {
  const { search } = pretended({ worse: 1.5 });
  const { best } = await tuneWith(search, { minPsnr: 30 });
  expect(best?.method.name).toBe('2.200 placed'); // 32.2 − 1.5 dB
});

it.each([[{ targetSpeedup: 50 }], [{ minPsnr: 400 }]])('shows what there is where nothing is %j', async (goal) => {
  const { best, nearest, tried, frontier } = await tuneWith(pretended().search, goal);
  expect(best).toBeNull();
  expect(tried.map(({ psnr }) => psnr)).toEqual(tried.map(({ psnr }) => psnr).toSorted((a, b) => b - a));
  expect(nearest).toBe('minPsnr' in goal ? tried[0] : tried.toSorted((a, b) => b.speedup - a.speedup)[0]);
  expect(frontier.map(({ speedup }) => speedup)).toEqual('minPsnr' in goal ? [4, 2.5, 1.5, 1.2] : [4, 2.5, 1.5]);
});
