import { pythonRegExp } from '../python-text.ts';

/** Characters that occur in known mojibake, by how they are used (ftfy badness.MOJIBAKE_CATEGORIES). */
const COMMON = '\xa0\xad·´–—―…’';
const C1 = '\x80-\x9f';
const BAD = '¦¤¨¬¯¸ƒˆˇ˘˛˜†‡‰⌐◊\ufffdªº';
const LAW = '¶§';
const CURRENCY = '¢£¥₧€';
const START = '¡«¿©΄΅‘‚“„•‹\uf8ff';
const END = '®»˝”›™';
const NUMERIC = '²³¹±¼½¾×µ÷⁄∂∆∏∑√∞∩∫≈≠≡≤≥№';
const KAOMOJI = 'Ò-ÖÙ-Üò-öø-üŐŌŪŲ°';
const UPPER_ACCENTED = 'À-ÑØÜÝĂĀĄĆČĎĐĘĚĒĖĞĢİĪĶĹĽŁĻŃŇŅŒŘŚŞŠŢŤŮŰŸŹŻŽҐ';
const LOWER_ACCENTED = 'ßà-ñăąāćčďđęěēėğģįīķĺľłļœŕśşšťüźżžґﬁﬂ';
const UPPER_COMMON = 'ÞΑ-ΩΆΈΉΊΌΎΏΪΫЁ-Я';
const LOWER_COMMON = 'α-ωάέήίΰа-џ';
const BOX = '│┌┐┘├┤┬┼═-╬▀▄█▌▐░▒▓';

const ACCENTED = LOWER_ACCENTED + UPPER_ACCENTED;
const BESIDE_BAD = ACCENTED + BOX + START + END + CURRENCY + NUMERIC + LAW;
const ARABIC = `[ØÙ][${COMMON}${CURRENCY}${BAD}${NUMERIC}${START}ŸŠ®°µ»]`;
const CYRILLIC = `[${C1}${BAD}${START}${END}${CURRENCY}°µ]`;
const GREEK = `[${C1}${BAD}${START}${END}${CURRENCY}°]`;

/** Unlikely neighbours (ftfy 6.3.1, badness.BADNESS_RE). */
const BADNESS = pythonRegExp(
  [
    `[${C1}]`,
    `[${BAD}${BESIDE_BAD}][${BAD}]`,
    `[a-zA-Z][${LOWER_COMMON}${UPPER_COMMON}][${BAD}]`,
    `[${BAD}][${BESIDE_BAD}]`,
    `[${LOWER_ACCENTED}${LOWER_COMMON}${BOX}${END}${CURRENCY}${NUMERIC}][${UPPER_ACCENTED}]`,
    `[${BOX}${END}${CURRENCY}${NUMERIC}][${LOWER_ACCENTED}]`,
    `[${LOWER_ACCENTED}${BOX}${END}][${CURRENCY}]`,
    `\\s[${UPPER_ACCENTED}][${CURRENCY}]`,
    `[${UPPER_ACCENTED}${BOX}][${NUMERIC}${LAW}]`,
    `[${ACCENTED}${BOX}${CURRENCY}${END}][${START}][${NUMERIC}]`,
    `[${ACCENTED}${CURRENCY}${NUMERIC}${BOX}${LAW}][${END}][${START}]`,
    `[${CURRENCY}${NUMERIC}${BOX}][${START}]`,
    `[a-z][${UPPER_ACCENTED}][${START}${CURRENCY}]`,
    `[${BOX}][${KAOMOJI}]`,
    `[${ACCENTED}${CURRENCY}${NUMERIC}${START}${END}${LAW}][${BOX}]`,
    `[${BOX}][${END}]`,
    `[${ACCENTED}][${START}${END}]\\w`,
    '[Œœ][^A-Za-z]',
    `[${UPPER_ACCENTED}]°`,
    // Windows-1252
    `[ÂÃÎÐ][€œŠš¢£Ÿž\xa0\xad®©°·»${START}${END}–—´]`,
    '×[²³]',
    // Arabic in Windows-1252
    ARABIC + ARABIC,
    // South Asian scripts in Windows-1252
    'à[²µ¹¼½¾]',
    // MacRoman
    '√[±∂†≠®™´≤≥¥µø]',
    '≈[°¢]',
    '‚Ä[ìîïòôúùû†°¢π]',
    '‚[âó][àä°ê]',
    // Windows-1251
    'вЂ',
    `[ВГРС]${CYRILLIC}[ВГРС]`,
    'ГўВЂВ[^\n][A-Za-z ]',
    // à, á and the no-break space in Windows-1252
    'Ã[\xa0¡]',
    '[a-z]\\s?[ÃÂ] ',
    '^[ÃÂ] ',
    `[a-z.,?!${END}]Â[ ${START}${END}]`,
    // Windows-1253
    'β€[™\xa0Ά\xad®°]',
    `[ΒΓΞΟ]${GREEK}[ΒΓΞΟ]`,
    // Windows-1257
    'ā€',
  ].join('|'),
  'u',
);

/** Whether a text looks as if it had been read in a wrong encoding. */
export function isBad(text: string): boolean {
  return BADNESS.test(text);
}
