import type { PixelImage } from '../index.ts';
import { BlockMapView } from './block-map.ts';
import { made } from './dom.ts';
import type { BlockMap, PictureDone, StepDone } from './messages.ts';
import { seconds } from './words.ts';

/** What runs begin with, faintly: the same for all, as it is with one seed. */
const NOISE = noise(16);

/** One run: its picture, in the making and made, its map and its time. */
export class Pane {
  private readonly title = made('figcaption');
  private readonly picture = made('canvas', { className: 'picture', width: 1, height: 1 });
  private readonly map: BlockMapView;
  private readonly took = made('p', { className: 'took' });
  private readonly download = made('a', { className: 'download', textContent: 'Download PNG', hidden: true });
  private sampling = 0;

  constructor(
    private readonly figure: HTMLElement,
    depth: number,
  ) {
    this.map = new BlockMapView(depth);
    this.picture.setAttribute('role', 'img');
    const below = made('div', { className: 'below' }, this.took, this.download);
    figure.append(this.title, this.picture, below, this.map.canvas);
    this.clear();
  }

  set hidden(hidden: boolean) {
    this.figure.hidden = hidden;
  }

  /** What the run will be of, and what is known of it ahead. The picture stays until the run begins. */
  plan(title: string, columns: BlockMap, steps: number, depth: number): void {
    this.title.textContent = title;
    this.map.plan(columns, steps, depth);
  }

  /** Empty, for a run that is to come. */
  clear(): void {
    this.sampling = 0;
    this.took.textContent = '';
    this.show(NOISE, 'No picture yet');
    this.picture.classList.remove('finished');
    URL.revokeObjectURL(this.download.href);
    this.download.removeAttribute('href');
    this.download.hidden = true;
  }

  step({ step, column, preview, seconds: took }: StepDone): void {
    this.sampling += took;
    this.took.textContent = seconds(this.sampling);
    this.map.light(step, column);
    this.show(preview, `Preview after step ${step + 1}`);
  }

  finish({ picture, file, samplingSeconds }: PictureDone, subject: string): void {
    this.took.textContent = seconds(samplingSeconds);
    this.show(picture, `Picture: ${subject}, ${this.title.textContent ?? ''}`);
    this.picture.classList.add('finished');
    this.download.href = URL.createObjectURL(new Blob([file.png], { type: 'image/png' }));
    this.download.download = file.name;
    this.download.hidden = false;
  }

  private show({ data, width, height }: PixelImage, label: string): void {
    Object.assign(this.picture, { width, height });
    this.picture.setAttribute('aria-label', label);
    this.picture.getContext('2d')?.putImageData(new ImageData(new Uint8ClampedArray(data), width, height), 0, 0);
  }
}

function noise(side: number): PixelImage {
  const data = new Uint8ClampedArray(side * side * 4);
  for (let i = 0; i < data.length; i += 4) data.set([128, 128, 128, Math.random() * 96], i);
  return { width: side, height: side, data };
}
