import type { PlanCell } from '../index.ts';
import type { BlockMap } from './messages.ts';

/** A map is drawn when it is shown first, changes, or gets another size. */
export class BlockMapView {
  readonly canvas = document.createElement('canvas');
  private columns: (readonly PlanCell[] | undefined)[] = [];
  private done = 0;

  /** @param depth blocks of the model */
  constructor(private depth: number) {
    this.canvas.className = 'map';
    this.canvas.setAttribute('role', 'img');
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  /** @param plan what is known of the steps ahead, shown dimly */
  plan(plan: BlockMap, steps: number, depth: number): void {
    this.depth = depth;
    this.columns = Array.from({ length: steps }, (_, step) => plan[step]);
    this.done = 0;
    this.draw();
  }

  /** A step is done, and did this. */
  light(step: number, column: readonly PlanCell[]): void {
    this.columns[step] = column;
    this.done = step + 1;
    this.draw();
  }

  /** For those who do not see it, and for anyone's numbers. */
  get summary(): string {
    const lit = this.columns.slice(0, this.done).flatMap((column) => column ?? []);
    const reused = lit.filter((cell) => cell === 'reused').length;
    const partly = lit.filter((cell) => cell === 'partly').length;
    const inPart = partly > 0 ? `, ${partly} reused in part` : '';
    const steps = `${this.done} of ${this.columns.length} steps done`;
    return `${steps}: of ${lit.length} block evaluations ${reused} reused${inPart}`;
  }

  private draw(): void {
    const { canvas, columns, depth } = this;
    canvas.setAttribute('aria-label', `Map of steps and blocks, ${this.summary}`);
    const ratio = window.devicePixelRatio;
    const [width, height] = [canvas.clientWidth * ratio, canvas.clientHeight * ratio].map(Math.round);
    const pen = canvas.getContext('2d');
    if (!pen || !width || !height) return;
    Object.assign(canvas, { width, height }); // which clears it
    const colours = coloursOf(canvas);
    const edge = (i: number, count: number, size: number) => Math.round((i * size) / count);
    const gap = width / columns.length > 4 * ratio ? Math.round(ratio) : 0;
    columns.forEach((column, step) => {
      const x = edge(step, columns.length, width);
      const w = edge(step + 1, columns.length, width) - x - gap;
      pen.globalAlpha = step < this.done ? 1 : 0.3;
      for (let block = 0; block < depth; block++) {
        const y = edge(block, depth, height);
        const h = edge(block + 1, depth, height) - y - Math.round(ratio);
        const cell = column?.[block] ?? 'reused';
        pen.fillStyle = colours[cell];
        pen.fillRect(x, y, w, h);
        if (cell !== 'partly') continue;
        pen.fillStyle = colours.computed;
        pen.fillRect(x, y, w, Math.ceil(h / 2));
      }
    });
  }
}

function coloursOf(canvas: HTMLCanvasElement): Readonly<Record<PlanCell, string>> {
  const style = getComputedStyle(canvas);
  const colour = (name: string) => style.getPropertyValue(`--cell-${name}`).trim();
  const reused = colour('reused');
  return { computed: colour('computed'), recorded: colour('recorded'), reused, partly: reused };
}
