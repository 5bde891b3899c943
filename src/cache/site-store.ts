import type * as tf from '@tensorflow/tfjs-core';
import { OptionError } from '../errors.ts';
import type { Predictor } from './predictors/predictor.ts';
import { type Site, siteKey } from './site.ts';
import { type Prediction, SiteHistory } from './site-history.ts';

/** What the sites of one run have given: the only tensors that outlive a step. */
export class SiteStore {
  private readonly histories = new Map<string, SiteHistory>();
  private bytes = 0;
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
    this.change(history, () => history.put(step, value, rows));
    this.peak = Math.max(this.peak, this.bytes);
  }

  /** As `SiteHistory.predict`. */
  async predict<T extends tf.Tensor>(site: Site, step: number, rows?: readonly number[]): Promise<T> {
    return (await this.historyOf(site, step).predict(step, rows)) as T;
  }

  /** As `SiteHistory.prediction`. */
  async prediction<T extends tf.Tensor>(site: Site, step: number, rows?: readonly number[]): Promise<Prediction<T>> {
    return (await this.historyOf(site, step).prediction(step, rows)) as Prediction<T>;
  }

  /** Frees what no step after `step` needs. @param records see `TouchedSite` */
  release(site: Site, records: number): void {
    const history = this.histories.get(siteKey(site));
    if (history) this.change(history, () => history.trim(this.predictor.history - records));
  }

  dispose(): void {
    for (const history of this.histories.values()) history.dispose();
    this.histories.clear();
    this.bytes = 0;
  }

  private historyOf(site: Site, step: number): SiteHistory {
    const history = this.histories.get(siteKey(site));
    if (!history) throw new OptionError(`plan: step ${step} reuses ${siteKey(site)}, which no step before it recorded`);
    return history;
  }

  private change(history: SiteHistory, by: () => void): void {
    const before = history.bytes;
    by();
    this.bytes += history.bytes - before;
  }
}
