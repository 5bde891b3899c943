import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { DeltaDiTError, readPngText, SETTINGS_KEYWORD, type WantedSubject } from '../index.ts';
import { readSwitches } from './prompt-switches.ts';
import { parseSettings } from './stored-settings.ts';

/**
 * What a picture file should show: the one class or prompt of the settings in a PNG that `generate` wrote, else what its
 * name says without numbers at its ends, as in `heart-7.png` or `003-an-emoji-of-a-dog.jpg`. A sheet of several shows
 * nothing single; neither does a name of numbers alone.
 */
export async function wantedSubject(path: string): Promise<WantedSubject | undefined> {
  const settings = await storedSettings(path);
  if (!settings) return subjectOfName(path);
  const isSheet = settings.compare || settings.seeds.length > 1;
  const subjects = settings.pipeline === 'DiTPipeline' ? settings.classes : settings.prompts;
  const [text, another] = subjects;
  if (text === undefined || another !== undefined || isSheet) return undefined;
  if (settings.pipeline === 'PixArtPipeline') return { kind: 'prompt', text: readSwitches(text).prompt };
  return /^\d+$/.test(text.trim()) ? subjectOfName(path) : { kind: 'class', text };
}

async function storedSettings(path: string) {
  if (extname(path).toLowerCase() !== '.png') return undefined;
  try {
    const json = readPngText(path, await readFile(path)).get(SETTINGS_KEYWORD);
    return json === undefined ? undefined : parseSettings(path, json);
  } catch (error) {
    if (error instanceof DeltaDiTError) return undefined; // settings of another version tell nothing, and are not needed
    throw error;
  }
}

function subjectOfName(path: string): WantedSubject | undefined {
  const stem = basename(path, extname(path));
  const text = stem
    .replace(/[-_]+/g, ' ')
    .replace(/^(\d+ )+|( \d+)+$/g, '')
    .trim();
  return /\p{L}/u.test(text) ? { kind: 'unknown', text } : undefined;
}
