import { CheckpointError } from '../src/errors.ts';

/**
 * Class names in class order, from a list or from diffusers' id2label (id → names; an entry may hold several,
 * separated by commas).
 */
export function parseLabels(where: string, json: unknown): readonly string[] {
  const entries = Array.isArray(json)
    ? json.map((name, id) => [String(id), name] as const)
    : Object.entries(json ?? {});
  const labels: string[] = Array<string>(entries.length).fill('');
  for (const [id, name] of entries) {
    const index = Number(id);
    if (!Number.isInteger(index) || index < 0 || index >= entries.length || typeof name !== 'string') {
      throw new CheckpointError(
        `${where}: expected class names for 0 … ${entries.length - 1}, got ${id}: ${JSON.stringify(name)}`,
      );
    }
    labels[index] = name;
  }
  return labels;
}
