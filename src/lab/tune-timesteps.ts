import { OptionError } from '../errors.ts';

/** How far a node is moved, in training timesteps, from coarse to fine. */
const WIDTHS = [48, 24, 12] as const;
/** dB below which a move is noise. */
const GAIN = 0.01;

export interface TimestepSearch {
  /** The timesteps of the steps, falling. */
  readonly timesteps: readonly number[];
  /** The steps that compute the model: only these are moved, the ones between follow evenly. */
  readonly nodes: readonly number[];
  /** 999 of the models here. */
  readonly highest: number;
  /** 1 where the sampler does not take timestep 0. */
  readonly lowest: number;
  /** PSNR of a placement, dB. */
  readonly score: (timesteps: readonly number[]) => Promise<number>;
  /** How many placements may be scored. */
  readonly budget: number;
  /** Told of each score: how many there have been, and the best. */
  readonly onScore?: ((scored: number, best: number) => void) | undefined;
}

/** Places timesteps by moving one node at a time, up and down, as long as it helps (coordinate search). */
export async function placeTimesteps(search: TimestepSearch): Promise<{ timesteps: readonly number[]; psnr: number }> {
  const { nodes, budget, score, onScore } = search;
  if (nodes.length === 0) throw new OptionError('nodes: expected at least one step that computes the model');
  let best = { timesteps: search.timesteps, psnr: await score(search.timesteps) };
  let scored = 1;
  onScore?.(scored, best.psnr);
  for (const width of WIDTHS) {
    for (let node = nodes.length - 1; node >= 0; node--) {
      for (const move of [-width, width]) {
        if (scored >= budget) return best;
        const moved = withNodeMoved(best.timesteps, search, node, move);
        if (!moved) continue;
        const psnr = await score(moved);
        scored += 1;
        if (psnr > best.psnr + GAIN) best = { timesteps: moved, psnr };
        onScore?.(scored, best.psnr);
        if (best.timesteps === moved) break; // the other way was behind
      }
    }
  }
  return best;
}

/** Undefined where the timesteps would no longer fall, or leave their range. */
export function withNodeMoved(
  timesteps: readonly number[],
  { nodes, highest, lowest }: Pick<TimestepSearch, 'nodes' | 'highest' | 'lowest'>,
  node: number,
  by: number,
): readonly number[] | undefined {
  const values = nodes.map((step, i) => (timesteps[step] ?? 0) + (i === node ? by : 0));
  const placed = timesteps.map((timestep, step) => {
    const after = nodes.findIndex((other) => other >= step);
    if (after === -1) return timestep;
    const [left, right] = [nodes[after - 1], nodes[after] as number];
    if (right === step || left === undefined) return right === step ? (values[after] as number) : timestep;
    const [from, to] = [values[after - 1] as number, values[after] as number];
    return Math.round(from + ((to - from) * (step - left)) / (right - left));
  });
  const falls = placed.every((value, step) => step === 0 || value < (placed[step - 1] as number));
  return falls && (placed[0] ?? 0) <= highest && (placed.at(-1) ?? 0) >= lowest ? placed : undefined;
}
