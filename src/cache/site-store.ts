import type * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../errors.ts';
import type { Predictor } from './predictors/predictor.ts';
import { type Site, siteKey } from './site.ts';
import { SiteHistory } from './site-history.ts';

/** What the sites of one run have given: the only tensors that outlive a step. */
export class SiteStore {
  private readonly histories = new Map<string, SiteHistory>();
  private peak = 0;

  constructor(private readonly predictor: Predictor) {}

  /** The most bytes that were kept at once. */
  get peakBytes(): number {
    return this.peak;
  }

  /** As `SiteHistory.put`. */
  put(site: Site, step: number, value: tf.Tensor, rows?: readonly number[]): void {
    const key = siteKey(site);
    const history = this.histories.get(key) ?? new SiteHistory(key, this.predictor);
    this.histories.set(key, history);
    history.put(step, value, rows);
    const bytes = [...this.histories.values()].reduce((sum, one) => sum + one.bytes, 0);
    this.peak = Math.max(this.peak, bytes);
  }

  /** As `SiteHistory.predict`. */
  async predict<T extends tf.Tensor>(site: Site, step: number, rows?: readonly number[]): Promise<T> {
    const history = this.histories.get(siteKey(site));
    if (!history) throw new OptionError(`plan: step ${step} reuses ${siteKey(site)}, which no step before it recorded`);
    return (await history.predict(step, rows)) as T;
  }

  /** Frees what no step after `step` needs. @param records see `recordsBeforeReuse` */
  release(site: Site, records: number): void {
    this.histories.get(siteKey(site))?.trim(this.predictor.history - records);
  }

  dispose(): void {
    for (const history of this.histories.values()) history.dispose();
    this.histories.clear();
  }
}
