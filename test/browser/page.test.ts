import { PARITY, runCli, scratchFolder } from '../cli/run-cli.ts';
import { readPng } from '../support/read-png.ts';
import { describeInBrowser, PageTests } from './browser-tests.ts';

const scratch = scratchFolder();
afterAll(() => scratch.remove());

const painted = new Map<string, Promise<Uint8Array>>();

/** What the program paints in Node, on the same backend. */
function paintedInNode(...args: readonly string[]): Promise<Uint8Array> {
  const known = painted.get(args.join(' '));
  if (known) return known;
  const picture = paintInNode(args);
  painted.set(args.join(' '), picture);
  return picture;
}

async function paintInNode(args: readonly string[]): Promise<Uint8Array> {
  const file = scratch.path(`${args.join('').replaceAll(/\W/g, '')}.png`);
  const { code, stderr } = await runCli('generate', ...args, '--backend', 'wasm', '-o', file);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return readPng(file).data;
}

/** Peak signal-to-noise ratio of two pictures of 8 bits, dB. */
function psnr(base64: string, other: Uint8Array): number {
  const picture = Buffer.from(base64, 'base64');
  expect(picture.length).toBe(other.length);
  const squares = picture.reduce((sum, value, i) => sum + (value - (other[i] as number)) ** 2, 0);
  return 10 * Math.log10(255 ** 2 / (squares / picture.length));
}

const tiny = () => ['-m', scratch.path('tiny'), '--class', '3', '--seed', '7', '--steps', '4'];

/** Above this no eye and hardly a pixel tells two pictures apart. */
const SAME = 50;

describeInBrowser('in a page', () => {
  const tests = PageTests.forTests({ vite: true, folders: { '/models': scratch.path('') } });

  beforeAll(async () => {
    const layout = ['--num-heads', '4', '--vae', `${PARITY}/dit-tiny-diffusers`];
    const { code } = await runCli('convert', `${PARITY}/dit-tiny.pt`, '--out', scratch.path('tiny'), ...layout);
    expect(code).toBe(0);
  });

  it('a bundle says nothing that its user must act on', () => {
    expect(tests.said.esbuild).toBe('');
    expect(tests.said.vite).toMatch(/built in/);
    const butForSize = tests.said.vite.replace(/\(!\) Some chunks are larger[\s\S]*/, '');
    expect(butForSize).not.toMatch(/externalized|could not|failed|node:|\berror\b|\bwarn/i);
  });

  it.each(['esbuild', 'vite'] as const)('a bundle of %s paints what Node paints, on two threads', async (bundler) => {
    const page = await tests.open({ bundler });
    const painted = await page.evaluate(async () => {
      const pipe = await deltaDit.DiTPipeline.fromPretrained('/checkpoints/dit-emoji', {
        backend: 'wasm',
        wasmPaths,
      });
      const cache = deltaDit.deltaDiT();
      const { images } = await pipe.generate({ classLabels: ['heart'], seed: 7, numInferenceSteps: 2, cache });
      pipe.dispose();
      const { description } = await deltaDit.useBackend();
      return { picture: base64(images[0]?.data), description };
    });
    expect(painted.description).toBe('WebAssembly with SIMD, 2 threads');
    const settings = ['--class', 'heart', '--seed', '7', '--steps', '2', '--cache', 'delta-dit'];
    expect(psnr(painted.picture, await paintedInNode(...settings))).toBeGreaterThan(SAME);
    expect([tests.errors, tests.warnings]).toEqual([[], []]);
  });

  it('a prompt becomes a picture, with the text encoder and tokenizer', async () => {
    const page = await tests.open({ bundler: 'vite' });
    const picture = await page.evaluate(async () => {
      const options = { backend: 'wasm', wasmPaths } as const;
      const pipe = await deltaDit.PixArtPipeline.fromPretrained('/checkpoints/pixart-emoji-lcm', options);
      const { images } = await pipe.generate({ prompt: 'a red apple', seed: 3, numInferenceSteps: 1 });
      pipe.dispose();
      return base64(images[0]?.data);
    });
    const settings = ['-m', 'pixart-emoji-lcm', '-p', 'a red apple', '--seed', '3', '--steps', '1'];
    expect(psnr(picture, await paintedInNode(...settings))).toBeGreaterThan(SAME);
  });

  it('one that is not cross-origin isolated paints on one thread, and says once what to do', async () => {
    tests.server.isolated = false;
    const page = await tests.open();
    const { pictures, description } = await page.evaluate(async () => {
      const pictures: string[] = [];
      for (const wasm of [wasmPaths, undefined]) {
        const options = { backend: 'wasm', ...(wasm && { wasmPaths: wasm }) } as const;
        const pipe = await deltaDit.DiTPipeline.fromPretrained('/models/tiny', options);
        const { images } = await pipe.generate({ classLabels: [3], seed: 7, numInferenceSteps: 4 });
        pipe.dispose();
        pictures.push(base64(images[0]?.data));
      }
      return { pictures, description: (await deltaDit.useBackend()).description };
    });
    expect(description).toBe('WebAssembly with SIMD, 1 thread');
    expect(tests.warnings).toEqual([expect.stringMatching(/one thread.*Cross-Origin-Opener-Policy: same-origin/)]);
    const expected = await paintedInNode(...tiny());
    for (const picture of pictures) expect(psnr(picture, expected)).toBeGreaterThan(SAME);
  });

  it('a worker paints the same', async () => {
    const page = await tests.open();
    const picture = await page.evaluate(async (origin) => {
      const text = `
        await import('${origin}/esbuild/main.js');
        const options = { backend: 'wasm', wasmPaths: '${origin}/wasm/' };
        const pipe = await deltaDit.DiTPipeline.fromPretrained('${origin}/models/tiny', options);
        const { images } = await pipe.generate({ classLabels: [3], seed: 7, numInferenceSteps: 4 });
        postMessage(base64(images[0].data));`;
      const worker = new Worker(URL.createObjectURL(new Blob([text], { type: 'text/javascript' })), { type: 'module' });
      const answer = await new Promise<string>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message));
      });
      worker.terminate();
      return answer;
    }, tests.server.origin());
    expect(psnr(picture, await paintedInNode(...tiny()))).toBeGreaterThan(SAME);
  });

  it('a picture goes onto a canvas, and into a PNG', async () => {
    const page = await tests.open();
    const same = await page.evaluate(async () => {
      const pipe = await deltaDit.DiTPipeline.fromPretrained('/models/tiny', { backend: 'wasm', wasmPaths });
      const [image] = (await pipe.generate({ classLabels: [3], seed: 7, numInferenceSteps: 1 })).images;
      pipe.dispose();
      if (!image) throw new Error('no picture');
      const canvas = new OffscreenCanvas(image.width, image.height);
      canvas.getContext('2d')?.putImageData(new ImageData(image.data, image.width, image.height), 0, 0);
      const png = await canvas.convertToBlob();
      const drawn = new OffscreenCanvas(image.width, image.height).getContext('2d');
      drawn?.drawImage(await createImageBitmap(png), 0, 0);
      const pixels = drawn?.getImageData(0, 0, image.width, image.height).data;
      return { type: png.type, isSame: base64(pixels) === base64(image.data) };
    });
    expect(same).toEqual({ type: 'image/png', isSame: true });
  });

  it('without the .wasm files there is one clear error, or a warning where another backend would do', async () => {
    const page = await tests.open();
    const told = await page.evaluate(async () => {
      const failed = await deltaDit.useBackend('wasm', { wasmPaths: '/nowhere/' }).catch((error) => String(error));
      const warnings: string[] = [];
      const onWarning = (warning: string) => warnings.push(warning);
      const { name } = await deltaDit.useBackend(undefined, { wasmPaths: '/nowhere/', onWarning });
      return { failed, name, warnings };
    });
    expect(told.failed).toMatch(/^BackendError: .*pass their folder as `wasmPaths`/);
    expect(told).toMatchObject({
      name: 'cpu',
      warnings: expect.arrayContaining([expect.stringMatching(/could not be started before.*slower backend is tried/)]), // beside that of WebGPU, where the browser has it and the machine has no adapter
    });
  });
});
