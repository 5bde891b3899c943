import { type CheckpointFolder, readText } from '../src/checkpoint/folder.ts';
import { type CheckpointLocation, locate, openFile } from '../src/checkpoint/location.ts';
import {
  type AnyComponentName,
  type AnyManifest,
  componentsOf,
  MANIFEST_NAME,
  parseAnyManifest,
} from '../src/checkpoint/manifest.ts';
import type { TensorArchive } from '../src/checkpoint/stored-tensor.ts';
import { ANY_WEIGHTS_FILES } from '../src/checkpoint/weights-files.ts';
import { CheckpointError } from '../src/errors.ts';
import { elementCount } from '../src/shape.ts';
import { detectModel } from './detect-model.ts';
import { openCheckpointFile } from './formats/detect.ts';
import { openComponent, openFiles } from './open-archive.ts';

/** Names of models have at most a dozen parts; the rest of a longer one stays in one piece. */
const MAX_LEVELS = 32;

interface Node {
  readonly children: Map<string, Node>;
  tensor?: string;
}

/**
 * The tensors of an archive as an indented tree; numbered siblings that hold the same are shown once, as `0…27`.
 */
export function drawTensors(archive: TensorArchive): string {
  const root: Node = { children: new Map() };
  for (const { name, dtype, shape } of archive.tensors.values()) {
    let node = root;
    const parts = name.split('.');
    const levels = [
      ...parts.slice(0, MAX_LEVELS),
      ...(parts.length > MAX_LEVELS ? [parts.slice(MAX_LEVELS).join('.')] : []),
    ];
    for (const part of levels) {
      const child = node.children.get(part) ?? { children: new Map() };
      node.children.set(part, child);
      node = child;
    }
    node.tensor = `${dtype} [${shape.join(', ')}]`;
  }
  return drawChildren(root, '').join('\n');
}

/** How many elements all tensors have. */
export function countElements(archive: TensorArchive): number {
  return [...archive.tensors.values()].reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

function drawChildren(node: Node, indent: string): string[] {
  const drawn = [...node.children].map(([name, child]) => ({
    name,
    head: child.tensor,
    lines: drawChildren(child, `${indent}  `),
  }));
  const lines: string[] = [];
  for (let i = 0; i < drawn.length; ) {
    const { name, head, lines: below } = drawn[i] as (typeof drawn)[number];
    let last = i;
    const same = (other: (typeof drawn)[number]) =>
      /^\d+$/.test(other.name) && other.head === head && other.lines.join('\n') === below.join('\n');
    while (/^\d+$/.test(name) && last + 1 < drawn.length && same(drawn[last + 1] as (typeof drawn)[number])) last++;
    const label = last > i ? `${name}…${drawn[last]?.name}` : name;
    lines.push(`${indent}${label}${head ? `  ${head}` : ''}`, ...below);
    i = last + 1;
  }
  return lines;
}

/** What `inspectCheckpoint` says of one part of a checkpoint. */
export interface Inspected {
  /** The part's file or folder. */
  readonly name: string;
  /** Which model it is, in words. */
  readonly description: string;
  readonly parameters: number;
  readonly tree: string;
  /** Class names, where the checkpoint has them. */
  readonly labels: readonly string[];
}

/**
 * Looks at a weights file, or at every component of a converted or diffusers folder; tensors are not read.
 * @param key where a torch file keeps its weights
 */
export async function inspectCheckpoint(location: CheckpointLocation, key?: string): Promise<readonly Inspected[]> {
  const found = await locate(location);
  if (found.kind === 'folder') return inspectFolder(found.folder);
  return [await inspectArchive(await openCheckpointFile(await openFile(location), key))];
}

async function inspectFolder(folder: CheckpointFolder): Promise<readonly Inspected[]> {
  if (await folder.has(MANIFEST_NAME)) return inspectConverted(folder);
  const inspected: Inspected[] = [];
  for (const part of [folder, ...COMPONENT_FOLDERS.map((name) => folder.at(name))])
    if (await part.has('config.json'))
      inspected.push(await inspectArchive((await openComponent(part, ANY_WEIGHTS_FILES)).archive));
  if (inspected.length > 0) return inspected;
  throw new CheckpointError(
    `${folder.name}: holds no checkpoint; expected ${MANIFEST_NAME}, or config.json here or in ${COMPONENT_FOLDERS.join('/, ')}/`,
  );
}

/** Where diffusers' pipelines keep their models. */
const COMPONENT_FOLDERS = ['transformer', 'vae', 'text_encoder'];

async function inspectConverted(folder: CheckpointFolder): Promise<readonly Inspected[]> {
  const manifest = parseAnyManifest(`${folder.name}/${MANIFEST_NAME}`, await readText(folder, MANIFEST_NAME));
  const inspected: Inspected[] = [];
  for (const [name, component] of componentsOf(manifest)) {
    inspected.push(await inspectArchive(await openFiles(folder, component), labelsOf(manifest, name)));
  }
  return inspected;
}

function labelsOf(manifest: AnyManifest, component: AnyComponentName): readonly string[] {
  if (manifest.pipeline === 'DiTPipeline') return component === 'transformer' ? manifest.labels : [];
  return manifest.pipeline === 'ImageClassifier' ? manifest.labels.map(({ names }) => names.join(', ')) : [];
}

async function inspectArchive(archive: TensorArchive, labels: readonly string[] = []): Promise<Inspected> {
  try {
    const { description } = detectModel(archive);
    return { name: archive.name, description, parameters: countElements(archive), tree: drawTensors(archive), labels };
  } finally {
    await archive.close();
  }
}
