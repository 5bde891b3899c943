import type { ByteSource } from './byte-source.ts';

/** [begin, end) of a source, in bytes. */
export interface ByteRange {
  readonly begin: number;
  readonly end: number;
}

/** Neighbours are read together up to here: a call for a few kilobytes takes longer than reading them. */
const GROUP_BYTES = 2 ** 20;
/** Groups that are kept: a model's order may go to and fro between a few. */
const KEPT_GROUPS = 4;

/** Reads pieces of a source, small ones together with their neighbours. */
export class GroupedReads {
  /** By where a piece begins; pieces too large for a group, and those without neighbours, have none. */
  private readonly groups = new Map<number, ByteRange>();
  /** The most recently used last. */
  private readonly kept = new Map<ByteRange, Promise<Uint8Array>>();

  /** @param pieces all that will be read */
  constructor(
    private readonly source: ByteSource,
    pieces: readonly ByteRange[],
  ) {
    for (const members of intoGroups(pieces)) {
      const [first, last] = [members[0], members.at(-1)];
      if (!first || !last || members.length === 1) continue;
      for (const { begin } of members) this.groups.set(begin, { begin: first.begin, end: last.end });
    }
    // one range a group, which is its key
    for (const [begin, group] of this.groups) this.groups.set(begin, this.groups.get(group.begin) ?? group);
  }

  /** The bytes of one piece, in memory of their own. @param into as of ByteSource.read */
  async read({ begin, end }: ByteRange, into?: Uint8Array): Promise<Uint8Array> {
    const group = this.groups.get(begin);
    if (!group || end > group.end) return this.source.read(begin, end - begin, into);
    const bytes = await this.bytesOf(group);
    return bytes.slice(begin - group.begin, end - group.begin);
  }

  private bytesOf(group: ByteRange): Promise<Uint8Array> {
    const bytes = this.kept.get(group) ?? this.source.read(group.begin, group.end - group.begin);
    this.kept.delete(group);
    this.kept.set(group, bytes);
    bytes.catch(() => this.kept.delete(group)); // tried again when it is asked for again
    const [oldest] = this.kept.keys();
    if (this.kept.size > KEPT_GROUPS && oldest) this.kept.delete(oldest);
    return bytes;
  }
}

function intoGroups(pieces: readonly ByteRange[]): ByteRange[][] {
  const groups: ByteRange[][] = [];
  for (const piece of [...pieces].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    const group = groups.at(-1);
    const fits = group?.at(-1)?.end === piece.begin && piece.end - (group[0]?.begin ?? 0) <= GROUP_BYTES;
    if (group && fits) group.push(piece);
    else groups.push([piece]);
  }
  return groups;
}
