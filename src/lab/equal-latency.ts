/** What a way to sample costs and gives. */
export interface FrontierPoint {
  /** Seconds a picture. */
  readonly seconds: number;
  /** PSNR to the converged picture, dB. */
  readonly psnr: number;
}

/** The points that no other one beats in both, by time. */
export function frontierOf<P extends FrontierPoint>(points: readonly P[]): readonly P[] {
  const sorted = [...points].sort((a, b) => a.seconds - b.seconds || b.psnr - a.psnr);
  let best = Number.NEGATIVE_INFINITY;
  return sorted.filter(({ psnr }) => {
    if (psnr <= best) return false;
    best = psnr;
    return true;
  });
}

/**
 * What uncached sampling gives in the same time: between two points of its frontier on the line in log time, as steps
 * could be laid there. Undefined below the fastest point; above the slowest that one's.
 */
export function psnrAtLatency(points: readonly FrontierPoint[], seconds: number): number | undefined {
  const frontier = frontierOf(points);
  const after = frontier.findIndex((point) => point.seconds > seconds);
  if (after === 0 || frontier.length === 0) return undefined;
  const before = frontier[after === -1 ? frontier.length - 1 : after - 1] as FrontierPoint;
  const next = after === -1 ? undefined : frontier[after];
  if (!next) return before.psnr;
  const share = Math.log(seconds / before.seconds) / Math.log(next.seconds / before.seconds);
  return before.psnr + share * (next.psnr - before.psnr);
}
