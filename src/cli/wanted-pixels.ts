import { OptionError, type Painter } from '../index.ts';
import { closestBin, hasBins } from '../pipelines/aspect-ratio-bins.ts';
import type { WantedSize } from './prompt-switches.ts';

/** The pixels of a size: of a shape, those of the nearest one that the model was trained on. */
export function pixelsOf(
  { pipe }: Painter,
  { kind, height, width }: WantedSize,
): { readonly height: number; readonly width: number } {
  if (kind === 'pixels') return { height, width };
  const { inputSize } = pipe.transformer.config;
  if (!hasBins(inputSize)) {
    const pixels = inputSize * pipe.vae.scale;
    throw new OptionError(
      `--ar: ${pipe.name} was trained on ${pixels} × ${pixels} pixels alone, so that no shape has a size; give --width and --height`,
    );
  }
  const bin = closestBin(inputSize, height, width);
  return { height: bin.height, width: bin.width };
}
