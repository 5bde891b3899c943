import { OptionError } from '../errors.ts';

/**
 * Far more than T5 is given (PixArt: 120 tokens, about 600 characters). What is cleaned and cut grows with its square
 * at worst, so that a longer text could take minutes.
 */
export const MAX_PROMPT_LENGTH = 10_000;

/** @throws OptionError when the prompt is no text, or longer than MAX_PROMPT_LENGTH. */
export function checkPrompt(prompt: string): void {
  if (typeof prompt !== 'string') throw new OptionError(`prompt: expected a text, got ${typeof prompt}`);
  if (prompt.length > MAX_PROMPT_LENGTH) {
    throw new OptionError(
      `prompt: expected at most ${MAX_PROMPT_LENGTH} characters, got ${prompt.length}; shorten it, the model reads about 600`,
    );
  }
}
