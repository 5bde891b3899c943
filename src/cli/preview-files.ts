import { rm } from 'node:fs/promises';
import { encodePng, type Painter, type PixelImage, type StepEvent } from '../index.ts';
import { type Output, pathsOf, previewPath } from './output.ts';
import { grid, resized, writeWhole } from './pictures.ts';

/** Pictures in the making, in files beside those that they become; written over as steps go on, gone when they are made. */
export class PreviewFiles {
  readonly paths: readonly string[];

  /**
   * @param every shown after each `every`-th step, but for the last, whose picture is decoded at once
   * @param columns of the sheet, where there is one; it shows the pictures that run together
   */
  constructor(
    private readonly output: Output,
    private readonly every: number,
    private readonly columns: number,
  ) {
    this.paths = pathsOf(output).map(previewPath);
  }

  /** @param first of the pictures that run together */
  async show({ pipe }: Painter, { step, numInferenceSteps, xStart }: StepEvent, first: number): Promise<void> {
    if ((step + 1) % this.every !== 0 || step + 1 === numInferenceSteps) return;
    const latents = xStart();
    const small = await pipe.preview(latents).finally(() => latents.dispose());
    const { scale } = pipe.vae;
    const pictures: PixelImage[] = [];
    for (const picture of small) pictures.push(await resized(picture, picture.width * scale, picture.height * scale));
    if (this.output.kind === 'each') {
      for (const [i, picture] of pictures.entries()) await this.write(this.paths[first + i], picture);
    } else await this.write(this.paths[0], await grid(chunked(pictures, this.columns)));
  }

  /** Removes those from `first` on, as many as pictures were made; all of them where nothing is said. */
  async remove(first = 0, count = this.paths.length): Promise<void> {
    for (const path of this.paths.slice(first, first + count)) await rm(path, { force: true });
  }

  private async write(path: string | undefined, picture: PixelImage): Promise<void> {
    if (path !== undefined) await writeWhole(path, await encodePng(picture));
  }
}

/** Rows of so many. */
export function chunked<T>(all: readonly T[], columns: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / columns) }, (_, i) => all.slice(i * columns, (i + 1) * columns));
}
