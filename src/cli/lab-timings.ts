import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { parseStrictJson } from '../checkpoint/strict-json.ts';
import { FileError, type LabTiming, OptionError, type TimingStore } from '../index.ts';
import { type BenchEnvironment, environmentLine } from './bench-environment.ts';
import { writeWhole } from './pictures.ts';

const TIMINGS_NAME = 'timings.json';

const ENVIRONMENT = z.object({
  ...{ backend: z.string(), gpu: z.boolean(), cpu: z.string(), cpus: z.number(), platform: z.string() },
  threads: z.record(z.string(), z.string()),
  versions: z.object({ 'delta-dit': z.string(), tfjs: z.string(), node: z.string() }),
});
const TIMING = z.object({
  ...{ method: z.string(), round: z.number().int().nonnegative(), pictures: z.number().int().positive() },
  ...{ samplingSeconds: z.number().positive(), baselineSeconds: z.number().positive() },
});
const TIMINGS = z.object({ environment: ENVIRONMENT, batchSize: z.number(), timings: z.array(TIMING) });

/** What timings of one folder share. */
export interface TimingSetting {
  readonly environment: BenchEnvironment;
  /** Pictures that ran together. */
  readonly batchSize: number;
}

/** The file of a laboratory's folder that keeps how long its methods took, each on its own. */
export class LabTimings implements TimingStore {
  private constructor(
    readonly file: string,
    readonly setting: TimingSetting,
    private readonly all: LabTiming[],
  ) {}

  /** @returns undefined where nothing was timed yet @throws FileError or FormatError for a file that is damaged */
  static async read(folder: string): Promise<LabTimings | undefined> {
    const file = join(folder, TIMINGS_NAME);
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    const parsed = TIMINGS.safeParse(parseStrictJson(file, text));
    if (!parsed.success) throw new FileError(`${file}: ${z.prettifyError(parsed.error)}; remove it and time again`);
    const { timings, ...setting } = parsed.data;
    return new LabTimings(file, setting, timings);
  }

  /** To go on timing. @throws OptionError where what is there was timed elsewhere, or in batches of another size */
  static async open(folder: string, setting: TimingSetting): Promise<LabTimings> {
    const before = await LabTimings.read(folder);
    if (!before) return new LabTimings(join(folder, TIMINGS_NAME), setting, []);
    const [was, is] = [before.setting, setting].map(
      ({ environment, batchSize }) => `batches of ${batchSize} on ${environmentLine(environment)}`,
    );
    if (was === is) return before;
    throw new OptionError(
      `--out ${folder}: its ${TIMINGS_NAME} is of ${was}, and this is ${is}; remove the file to time all again, or give --timing-rounds 0`,
    );
  }

  get timings(): readonly LabTiming[] {
    return this.all;
  }

  async add(timing: LabTiming): Promise<void> {
    this.all.push(timing);
    const lines = this.all.map((one) => `  ${JSON.stringify(one)}`).join(',\n');
    const { environment, batchSize } = this.setting;
    const text = `{\n "environment": ${JSON.stringify(environment)},\n "batchSize": ${batchSize},\n "timings": [\n${lines}\n ]\n}\n`;
    await writeWhole(this.file, Buffer.from(text));
  }
}
