import type { ImageReport, StageSpreads } from '../lab/bench-image.ts';
import type { Spread } from '../lab/spread.ts';
import { markdown, threeDigits } from './bench-tables.ts';
import { roundsOf } from './speed-tables.ts';

/** Ratios first. @param what was painted, and how many at once */
export function imageTable(report: ImageReport, what: string): string {
  const { rounds, numInferenceSteps, guidanceScale, uncached, cached, pytorch } = report;
  const setting = `${what}; ${numInferenceSteps} steps of ddim, guidance ${guidanceScale}; float32; ${roundsOf(rounds)}`;
  const head = [setting, 'median', 'min', 'max − min'];
  const name = cached?.name ?? '';
  const ratios = pytorch
    ? [
        ...rowsOf('uncached ÷ PyTorch', pytorch.ratio.uncached, '**'),
        ...(pytorch.ratio.cached ? rowsOf(`${name} ÷ PyTorch`, pytorch.ratio.cached, '**') : []),
      ]
    : [];
  const seconds = [
    ...rowsOf('uncached, s', uncached.seconds),
    ...(cached ? rowsOf(`${name}, s`, cached.seconds) : []),
    ...(pytorch ? rowsOf('PyTorch, s', pytorch.seconds) : []),
  ];
  const table = markdown([head, ...ratios, ...seconds]);
  if (!pytorch) return table;
  const { latents, images } = pytorch.relativeL2;
  return `${table}\n\n${pytorch.versions}; uncached, the latents differ by ${latents.toExponential(1)} and the decoded pictures by ${images.toExponential(1)} (relative L2)`;
}

function rowsOf(name: string, { picture, sampling, decoding }: StageSpreads, mark = ''): string[][] {
  const row = (stage: string, { median, min, spread }: Spread, mark = '') => [
    `${stage} ${name}`,
    `${mark}${threeDigits(median)}${mark}`,
    ...[min, spread].map(threeDigits),
  ];
  return [row('whole picture,', picture, mark), row('sampling,', sampling), row('decoding,', decoding)];
}
