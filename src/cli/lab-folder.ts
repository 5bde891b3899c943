import { access, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { encodePng, FileError, type LabBatch, type LabStore, OptionError, type PixelImage } from '../index.ts';
import { writeWhole } from './pictures.ts';
import { readPicture } from './read-picture.ts';

const SETTINGS_NAME = 'lab.json';

const BATCH = z.object({
  method: z.string(),
  first: z.number(),
  samplingSeconds: z.number(),
  macs: z.number(),
  peakCachedBytes: z.number(),
  stepBlocks: z.array(z.number()),
});

/** What the pictures of a laboratory depend on besides their method; a folder holds those of one. */
export interface LabSettings {
  readonly model: string;
  readonly sha256: readonly string[];
  readonly backend: string;
  readonly guidanceScale: number;
  readonly batchSize: number;
  readonly subjects: readonly string[];
}

/** A folder that keeps what a laboratory has made: for each method a folder, for each batch a PNG strip and its numbers. */
export class LabFolder implements LabStore {
  private constructor(readonly path: string) {}

  /** @throws OptionError where the folder is of another laboratory; FileError where it cannot be read or written */
  static async open(path: string, settings: LabSettings): Promise<LabFolder> {
    await mkdir(path, { recursive: true }).catch((cause: Error) => {
      throw new FileError(`${path}: could not be made (${cause.message}); choose another --out`, { cause });
    });
    const file = join(path, SETTINGS_NAME);
    const text = `${JSON.stringify(settings, null, 1)}\n`;
    const before = await readFile(file, 'utf8').catch(() => undefined);
    if (before === undefined) await writeWhole(file, Buffer.from(text));
    else if (before !== text) throw otherLab(path, before, settings);
    return new LabFolder(path);
  }

  /**
   * A folder of any laboratory that painted the same, to be read.
   * @throws FileError where there is none; OptionError where it painted something else
   */
  static async ofSame(path: string, wanted: Pick<LabSettings, 'batchSize' | 'subjects'>): Promise<LabFolder> {
    const text = await readFile(join(path, SETTINGS_NAME), 'utf8').catch((cause: Error) => {
      throw new FileError(`${path}: is no folder of a laboratory (${cause.message}); give its --out`, { cause });
    });
    const known = JSON.parse(text) as LabSettings;
    for (const key of ['batchSize', 'subjects'] as const) {
      if (JSON.stringify(known[key]) !== JSON.stringify(wanted[key]))
        throw new OptionError(
          `${path}: has other ${key} than this laboratory; give the same --batch-size, --seeds and prompts`,
        );
    }
    return new LabFolder(path);
  }

  async has(method: string, first: number): Promise<boolean> {
    return access(this.file(method, first, 'json')).then(
      () => true,
      () => false,
    );
  }

  /** The numbers come last: with them the batch is whole. */
  async save(batch: LabBatch, images: readonly PixelImage[]): Promise<void> {
    await mkdir(this.folder(batch.method), { recursive: true });
    await writeWhole(this.file(batch.method, batch.first, 'png'), await encodePng(strip(images)));
    await writeWhole(this.file(batch.method, batch.first, 'json'), Buffer.from(`${JSON.stringify(batch)}\n`));
  }

  /** @throws FileError or FormatError where a file is absent or damaged */
  async load(method: string, first: number, count: number): Promise<{ batch: LabBatch; images: PixelImage[] }> {
    const file = this.file(method, first, 'json');
    const parsed = BATCH.safeParse(JSON.parse(await readFile(file, 'utf8')));
    if (!parsed.success) throw new FileError(`${file}: ${z.prettifyError(parsed.error)}; remove it and run again`);
    return { batch: parsed.data, images: unstrip(await readPicture(this.file(method, first, 'png')), count) };
  }

  private folder(method: string): string {
    return join(this.path, slug(method));
  }

  private file(method: string, first: number, extension: string): string {
    return join(this.folder(method), `${String(first).padStart(5, '0')}.${extension}`);
  }
}

/** A method's name as a part of file names. */
export function slug(method: string): string {
  return method.toLowerCase().replace(/[^a-z0-9+=._]+/g, '-');
}

function otherLab(path: string, before: string, settings: LabSettings): OptionError {
  const known = JSON.parse(before) as Record<string, unknown>;
  const odd = Object.entries(settings).find(([key, value]) => JSON.stringify(known[key]) !== JSON.stringify(value));
  return new OptionError(
    `--out ${path}: holds pictures of another laboratory (its ${odd?.[0]} is ${JSON.stringify(known[odd?.[0] ?? ''])?.slice(0, 80)}); choose another folder`,
  );
}

/** Pictures of one size side by side, without a gap. */
function strip(images: readonly PixelImage[]): PixelImage {
  const [{ width, height }] = images as [PixelImage];
  const data = new Uint8ClampedArray(4 * width * height * images.length);
  for (let y = 0; y < height; y++) {
    images.forEach((image, i) => {
      data.set(image.data.subarray(4 * width * y, 4 * width * (y + 1)), 4 * width * (y * images.length + i));
    });
  }
  return { width: width * images.length, height, data };
}

function unstrip({ width, height, data }: PixelImage, count: number): PixelImage[] {
  const own = width / count;
  return Array.from({ length: count }, (_, i) => {
    const picture = new Uint8ClampedArray(4 * own * height);
    for (let y = 0; y < height; y++) {
      const start = 4 * (y * width + i * own);
      picture.set(data.subarray(start, start + 4 * own), 4 * own * y);
    }
    return { width: own, height, data: picture };
  });
}
