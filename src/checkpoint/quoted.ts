const LONGEST = 120;

/** What a file said, for an error: as JSON, cut where a hostile file would flood the screen. */
export function quoted(value: unknown): string {
  let json: string;
  try {
    json = JSON.stringify(value) ?? String(value);
  } catch {
    return 'something nested too deeply to show';
  }
  return json.length <= LONGEST ? json : `${json.slice(0, LONGEST)}... (${json.length} characters)`;
}
