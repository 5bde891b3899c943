import { access, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { parseStrictJson } from '../checkpoint/strict-json.ts';
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

const SETTINGS = z.object({
  ...{ model: z.string(), sha256: z.array(z.string()), backend: z.string() },
  ...{ guidanceScale: z.number(), batchSize: z.number().int().positive(), subjects: z.array(z.string()) },
});

/** What the pictures of a laboratory depend on besides their method; a folder holds those of one. */
export type LabSettings = Readonly<Omit<z.infer<typeof SETTINGS>, 'sha256' | 'subjects'>> & {
  readonly sha256: readonly string[];
  /** Of each picture. */
  readonly subjects: readonly string[];
};

/** A folder that keeps what a laboratory has made: for each method a folder, for each batch a PNG strip and its numbers. */
export class LabFolder implements LabStore {
  private constructor(readonly path: string) {}

  /**
   * A laboratory of more pictures goes on where one of fewer was, as long as these fill their batches.
   * @throws OptionError where the folder is of another laboratory; FileError or FormatError where it cannot be read or written
   */
  static async open(path: string, settings: LabSettings): Promise<LabFolder> {
    await mkdir(path, { recursive: true }).catch((cause: Error) => {
      throw new FileError(`${path}: could not be made (${cause.message}); choose another --out`, { cause });
    });
    const file = join(path, SETTINGS_NAME);
    const text = `${JSON.stringify(settings, null, 1)}\n`;
    const before = await readFile(file, 'utf8').catch(() => undefined);
    const known = before === undefined ? undefined : settingsOf(file, before);
    if (known) {
      const odd = SETTING_NAMES.find((name) => !agree(name, known, settings));
      if (odd) throw otherLab(path, odd, known);
    }
    if (!known || known.subjects.length < settings.subjects.length) await writeWhole(file, Buffer.from(text));
    return new LabFolder(path);
  }

  /**
   * A folder of any laboratory that painted the same, to be read.
   * @throws FileError where there is none; OptionError where it painted something else
   */
  static async ofSame(path: string, wanted: Pick<LabSettings, 'batchSize' | 'subjects'>): Promise<LabFolder> {
    const file = join(path, SETTINGS_NAME);
    const text = await readFile(file, 'utf8').catch((cause: Error) => {
      throw new FileError(`${path}: is no folder of a laboratory (${cause.message}); give its --out`, { cause });
    });
    const known = settingsOf(file, text);
    for (const key of ['batchSize', 'subjects'] as const) {
      const isShort = key === 'subjects' && known.subjects.length < wanted.subjects.length;
      if (isShort || !agree(key, known, wanted))
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

const SETTING_NAMES = ['model', 'sha256', 'backend', 'guidanceScale', 'batchSize', 'subjects'] as const;

/** Of subjects it is enough that one list begins with the other, which ends with a batch. */
function agree<K extends keyof LabSettings>(
  name: K,
  known: Pick<LabSettings, K | 'batchSize'>,
  wanted: Pick<LabSettings, K>,
): boolean {
  const [one, other] = [known[name], wanted[name]];
  if (JSON.stringify(one) === JSON.stringify(other)) return true;
  if (name !== 'subjects' || !Array.isArray(one) || !Array.isArray(other)) return false;
  const shared = Math.min(one.length, other.length);
  return shared % known.batchSize === 0 && one.slice(0, shared).every((subject, i) => subject === other[i]);
}

/** @throws FileError or FormatError for a file that is damaged */
function settingsOf(file: string, text: string): LabSettings {
  const parsed = SETTINGS.safeParse(parseStrictJson(file, text));
  if (!parsed.success)
    throw new FileError(`${file}: ${z.prettifyError(parsed.error)}; choose another folder, or remove this one`);
  return parsed.data;
}

function otherLab(path: string, name: keyof LabSettings, known: LabSettings): OptionError {
  return new OptionError(
    `--out ${path}: holds pictures of another laboratory (its ${name} is ${JSON.stringify(known[name]).slice(0, 80)}); choose another folder`,
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
