import { OptionError } from '../index.ts';

/** A size that was asked for: a shape, of which the model's nearest size is taken, or pixels. */
export interface WantedSize {
  readonly kind: 'shape' | 'pixels';
  readonly height: number;
  readonly width: number;
}

/** The switches of the original, in the order in which they win (prepare_prompt_ar of PixArt-alpha's utils.py). */
const SWITCHES = [
  { pattern: /--aspect_ratio\s+(\S+)/u, kind: 'shape' },
  { pattern: /--ar\s+(\S+)/u, kind: 'shape' },
  { pattern: /--hw\s+(\S+)/u, kind: 'pixels' },
] as const;
const ANY_SWITCH = /--(?:aspect_ratio|ar|hw)(?=\s|$)/u;

/**
 * Takes `--ar h:w`, `--aspect_ratio h:w` and `--hw h:w` off the end of a prompt, which is all that stands before the
 * first of them.
 * @throws OptionError for a switch without a size
 */
export function readSwitches(given: string): { readonly prompt: string; readonly size: WantedSize | undefined } {
  const at = given.search(ANY_SWITCH);
  if (at === -1) return { prompt: given, size: undefined };
  const switches = given.slice(at);
  for (const { pattern, kind } of SWITCHES) {
    const found = pattern.exec(switches)?.[1];
    if (found !== undefined) return { prompt: given.slice(0, at), size: parseSize(switches, found, kind) };
  }
  throw new OptionError(`${switches}: expected height:width after it, such as --ar 3:4`);
}

/** @param option as it was written @throws OptionError unless it is height:width */
export function parseSize(option: string, text: string, kind: WantedSize['kind']): WantedSize {
  const [, height = 0, width = 0] = (/^(\d{1,5}):(\d{1,5})$/u.exec(text) ?? []).map(Number);
  if (height > 0 && width > 0) return { kind, height, width };
  throw new OptionError(`${option}: expected height:width in whole numbers, such as 3:4, got ${JSON.stringify(text)}`);
}
