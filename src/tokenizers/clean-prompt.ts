import { fixText } from './ftfy/fix-text.ts';
import { unescapeHtml } from './html-entities.ts';
import { htmlText } from './html-text.ts';
import { checkPrompt } from './prompt-length.ts';
import { pythonRegExp, strip, unquotePlus } from './python-text.ts';

/** What is looked for, and what stands for it then. */
type Rule = readonly [pattern: RegExp, replacement: string];
const rule = (source: string, replacement: string): Rule => [pythonRegExp(source), replacement];
const raw = String.raw;

const HOST = raw`[a-zA-Z0-9.\-]+[.](?:com|co|ru|net|org|edu|gov|it)[\w/\-]*\b/?(?!@)`;
const DASHES =
  '\\u002d\\u058a\\u05be\\u1400\\u1806\\u2010-\\u2015\\u2e17\\u2e1a\\u2e3a\\u2e3b\\u2e40\\u301c\\u3030\\u30a0\\ufe31\\ufe32\\ufe58\\ufe63\\uff0d';
const IMAGE_TYPES = 'png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4';

const BEFORE_HTML: readonly Rule[] = [
  rule('<person>', 'person'),
  rule(raw`\b(?:https?:(?:/{1,3}|[a-zA-Z0-9%])|${HOST})`, ''),
  rule(raw`\b(?:www:(?:/{1,3}|[a-zA-Z0-9%])|${HOST})`, ''),
];

const AFTER_HTML: readonly Rule[] = [
  // @nickname
  rule(raw`@\w+\b`, ''),
  // CJK strokes, katakana extensions, enclosed, compatibility, extension A, hexagrams, unified ideographs
  rule(raw`[\u31c0-\u9fff]`, ''),
  rule(`[${DASHES}]+`, '-'),
  rule('[`´«»“”¨]', '"'),
  rule('[‘’]', "'"),
  rule('&quot;?', ''),
  rule('&amp', ''),
  // IP addresses
  rule(raw`\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}`, ' '),
  // article ids
  rule(raw`\d:\d\d\s+$`, ''),
  rule(raw`\\n`, ' '),
  // #123, #12345…, 123456…
  rule(raw`#\d{1,3}\b`, ''),
  rule(raw`#\d{5,}\b`, ''),
  rule(raw`\b\d{6,}\b`, ''),
  // file names
  rule(raw`\S+\.(?:${IMAGE_TYPES})`, ''),
  rule(`["']{2,}`, '"'),
  rule(raw`\.{2,}`, ' '),
  rule(raw`[#®•©™&@·º½¾¿¡§~)(\][}{|\\/*]+`, ' '),
  rule(raw`\s+\.\s+`, ' '),
];

const AFTER_REPAIR: readonly Rule[] = [
  // jc6640, jc6640vc, 6640vc231
  rule(raw`\b[a-zA-Z]{1,3}\d{3,15}\b`, ''),
  rule(raw`\b[a-zA-Z]+\d+[a-zA-Z]+\b`, ''),
  rule(raw`\b\d+[a-zA-Z]+\d+\b`, ''),
  // the words of shops
  rule(raw`(?:worldwide\s+)?(?:free\s+)?shipping`, ''),
  rule(raw`(?:free\s)?download(?:\sfree)?`, ''),
  rule(raw`\bclick\b\s(?:for|on)\s\w+`, ''),
  rule(raw`\b(?:${IMAGE_TYPES})(?:\simages?)?`, ''),
  rule(raw`\bpage\s+\d+\b`, ''),
  // j2d1a2a…
  rule(raw`\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b`, ' '),
  // 10x20, with a Latin or a Cyrillic x
  rule(raw`\b\d+\.?\d*[xх×]\d+\.?\d*\b`, ''),
  rule(raw`\b\s+:\s+`, ': '),
  rule(raw`(\D[,./])\b`, '$1 '),
  rule(raw`\s+`, ' '),
  // what encloses or leads
  [/^["'](.+)["']$/su, '$1'],
  [/^['_,\-:;]/u, ''],
  [/['_,\-:+]$/u, ''],
  [pythonRegExp(raw`^\.\S+$`, 'u'), ''],
];

/** this-is-my-cute-cat, this_is_my_cute_cat */
const JOINERS = /[-_]/gu;
const MOST_JOINERS = 3;

/**
 * A prompt as PixArt's text encoder is given it: cleaned, twice, or else in small letters without outer white space.
 * After diffusers' PixArtAlphaPipeline._text_preprocessing, with ftfy and Beautiful Soup installed.
 * @throws OptionError when it is longer than MAX_PROMPT_LENGTH.
 */
export function preparePrompt(prompt: string, { clean = true }: { readonly clean?: boolean | undefined } = {}): string {
  checkPrompt(prompt);
  return clean ? cleanPrompt(cleanPrompt(prompt)) : strip(prompt.toLowerCase());
}

/**
 * One pass of diffusers' PixArtAlphaPipeline._clean_caption (0.42.1): addresses, markup, ids, file names, shop talk and
 * broken encodings go, punctuation becomes plain. Equal to it under Python 3.11 but for characters newer than its
 * Unicode, and for markup that Beautiful Soup refuses, which is taken for text.
 */
export function cleanPrompt(prompt: string): string {
  let text = apply(BEFORE_HTML, strip(unquotePlus(prompt)).toLowerCase());
  text = apply(AFTER_HTML, htmlText(text));
  if ((text.match(JOINERS)?.length ?? 0) > MOST_JOINERS) text = text.replace(JOINERS, ' ');
  text = unescapeHtml(unescapeHtml(fixText(text)));
  return strip(apply(AFTER_REPAIR, text));
}

function apply(rules: readonly Rule[], text: string): string {
  return rules.reduce((changed, [pattern, replacement]) => changed.replace(pattern, replacement), text);
}
