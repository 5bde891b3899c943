import {
  type AnyComponentName,
  CACHE_PLAN_NAME,
  componentsOf,
  MANIFEST_NAME,
  parseManifest,
  TOKENIZER_FILES,
} from '../checkpoint/manifest.ts';
import { quoted } from '../checkpoint/quoted.ts';
import { shardNames } from '../checkpoint/sharded.ts';
import { parseStrictJson } from '../checkpoint/strict-json.ts';
import {
  ANY_WEIGHTS_FILES,
  DIFFUSERS_WEIGHTS_FILES,
  findWeights,
  TRANSFORMERS_WEIGHTS_FILES,
} from '../checkpoint/weights-files.ts';
import { CheckpointError } from '../errors.ts';

/** The files of a model, wherever they are. */
export interface RepoFiles {
  /** Shown in errors. */
  readonly name: string;
  /** Where they lie below the model's root, with forward slashes. */
  readonly paths: ReadonlySet<string>;
  /** A small file as text. */
  text(path: string): Promise<string>;
}

/** What of a model is wanted: all that makes pictures, or a part for one that lacks it. */
export type WantedPart = 'pipeline' | 'vae' | 'text_encoder' | 'tokenizer';

export interface Wanted {
  /** A folder or file inside; empty for all. */
  readonly path: string;
  readonly part: WantedPart;
  /** Parts of a pipeline to leave away. */
  readonly without: readonly WantedPart[];
}

export interface NeededFiles {
  /** What is opened: the file, or the folder, which is empty for the root. */
  readonly entry: string;
  readonly files: readonly string[];
  /** There may be other weights files, of which none is named as the one. */
  readonly isOnlyOne?: boolean;
}

const PIPELINES = ['DiTPipeline', 'PixArtAlphaPipeline'];
const INDEX = 'model_index.json';
const SINGLE_FILES = ['.safetensors', '.pt', '.pth', '.ckpt', '.bin'];
const LISTED = 10;

/**
 * The files that the openers of checkpoints would read, and no others: of a converted folder what its manifest names, of
 * a diffusers folder the parts that model_index.json names, of a component its configuration and weights, else the
 * weights file that is there. Of several forms of the same weights one is taken, safetensors first, shards with their
 * index.
 * @throws CheckpointError when something is missing, or it is for another pipeline.
 */
export async function neededFiles(repo: RepoFiles, { path, part, without }: Wanted): Promise<NeededFiles> {
  if (repo.paths.has(path)) return { entry: path, files: [path] };
  const root = new RepoFolder(repo, path);
  if (root.has(MANIFEST_NAME)) return { entry: path, files: await root.manifestFiles(part, without) };
  if (part === 'pipeline' && root.has(INDEX)) return { entry: path, files: await root.pipelineFiles(without) };
  if (part === 'tokenizer') return { entry: path, files: root.tokenizerFiles() };
  const component = part === 'pipeline' || root.has('config.json') ? root : new RepoFolder(repo, joined(path, part));
  if (component.has('config.json')) {
    const tokenizer = part === 'vae' ? [] : root.tokenizerFiles({ optional: true });
    return { entry: path, files: [...(await component.componentFiles(ANY_WEIGHTS_FILES)), ...tokenizer] };
  }
  const file = root.singleFile();
  return { entry: file, files: [file], isOnlyOne: true };
}

function joined(folder: string, name: string): string {
  return folder === '' ? name : `${folder}/${name}`;
}

class RepoFolder {
  constructor(
    private readonly repo: RepoFiles,
    private readonly path: string,
  ) {}

  has(name: string): boolean {
    return this.repo.paths.has(joined(this.path, name));
  }

  async manifestFiles(part: WantedPart, without: readonly WantedPart[]): Promise<readonly string[]> {
    const manifest = parseManifest(`${this.where}/${MANIFEST_NAME}`, await this.text(MANIFEST_NAME));
    const partOf: Readonly<Record<AnyComponentName, WantedPart>> = {
      transformer: 'pipeline',
      classifier: 'pipeline',
      vae: 'vae',
      textEncoder: 'text_encoder',
    };
    const isWanted = (of: WantedPart) => (part === 'pipeline' ? of === 'vae' || !without.includes(of) : of === part);
    const weights = [...componentsOf(manifest)].filter(([name]) => isWanted(partOf[name]));
    const tokenizer = manifest.pipeline === 'PixArtPipeline' ? manifest.tokenizer : [];
    const isForText = part === 'text_encoder' || isWanted('tokenizer');
    const files = [...weights.flatMap(([, { files }]) => files), ...(isForText ? tokenizer : [])];
    const plan = part === 'pipeline' && this.has(CACHE_PLAN_NAME) ? [CACHE_PLAN_NAME] : [];
    return this.all([MANIFEST_NAME, ...plan, ...files.map(({ name }) => name)]);
  }

  async pipelineFiles(without: readonly WantedPart[]): Promise<readonly string[]> {
    const index = parseStrictJson(`${this.where}/${INDEX}`, await this.text(INDEX));
    const { _class_name: pipeline } = index;
    if (typeof pipeline !== 'string' || !PIPELINES.includes(pipeline))
      throw new CheckpointError(`${this.where}: is a ${quoted(pipeline)}; ${PIPELINES.join(' and ')} are read`);
    const names = (part: string) => Array.isArray(index[part]) && index[part].every((value) => value !== null);
    const isWanted = (part: WantedPart) => names(part) && !without.includes(part);
    const at = (part: string) => new RepoFolder(this.repo, joined(this.path, part));
    return [
      ...this.all([INDEX]),
      ...(names('scheduler') ? at('scheduler').all(['scheduler_config.json']) : []),
      ...(await at('transformer').componentFiles(DIFFUSERS_WEIGHTS_FILES)),
      ...(isWanted('vae') ? await at('vae').componentFiles(DIFFUSERS_WEIGHTS_FILES) : []),
      ...(isWanted('text_encoder') ? await at('text_encoder').componentFiles(TRANSFORMERS_WEIGHTS_FILES) : []),
      ...(isWanted('tokenizer') ? at('tokenizer').tokenizerFiles() : []),
    ];
  }

  /** Configuration and weights of one model. */
  async componentFiles(weightsFiles: readonly string[]): Promise<readonly string[]> {
    const config = this.all(['config.json']);
    const found = await findWeights((file) => this.has(file), weightsFiles);
    if (!found) throw new CheckpointError(`${this.where}: has no weights; expected one of ${weightsFiles.join(', ')}`);
    const { file, isIndex } = found;
    const shards = isIndex ? shardNames(`${this.where}/${file}`, await this.text(file)) : [];
    return [...config, ...this.all([file, ...shards])];
  }

  /** Of this folder, else of its tokenizer/. */
  tokenizerFiles({ optional = false } = {}): readonly string[] {
    for (const folder of [this, new RepoFolder(this.repo, joined(this.path, 'tokenizer'))]) {
      if (folder.has('spiece.model') || folder.has('tokenizer.json'))
        return folder.all(TOKENIZER_FILES.filter((file) => folder.has(file)));
    }
    if (optional) return [];
    throw new CheckpointError(`${this.where}: has no tokenizer; expected spiece.model or tokenizer.json`);
  }

  /** The weights file of a folder that has one, whatever else is in it. @throws CheckpointError when it has several */
  singleFile(): string {
    const prefix = this.path === '' ? '' : `${this.path}/`;
    const here = [...this.repo.paths]
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length));
    const found = here.filter((name) => !name.includes('/') && SINGLE_FILES.some((end) => name.endsWith(end))).sort();
    const safe = found.filter((name) => name.endsWith('.safetensors'));
    const [only, ...others] = safe.length === 1 ? safe : found;
    if (only === undefined) throw new CheckpointError(`${this.where}: ${this.nothing(here)}`);
    if (others.length === 0) return joined(this.path, only);
    throw new CheckpointError(
      `${this.where}: has ${found.length} weights files: ${listed(found)}; name the one you mean, as hf://${this.where}/${only}`,
    );
  }

  /** @throws CheckpointError naming those that are not there. */
  all(names: readonly string[]): readonly string[] {
    const missing = names.filter((name) => !this.has(name));
    if (missing.length > 0) throw new CheckpointError(`${this.where}: lacks ${listed(missing)}; it is not whole`);
    return names.map((name) => joined(this.path, name));
  }

  private get where(): string {
    return joined(this.repo.name, this.path).replace(/\/$/, '');
  }

  private text(name: string): Promise<string> {
    return this.repo.text(joined(this.path, name));
  }

  private nothing(here: readonly string[]): string {
    if (here.length === 0) return 'there is no such file or folder in it';
    return `holds no checkpoint; expected ${INDEX}, ${MANIFEST_NAME}, config.json with weights, or a weights file, got ${listed(here)}`;
  }
}

function listed(names: readonly string[]): string {
  const rest = names.length - LISTED;
  return names.slice(0, LISTED).join(', ') + (rest > 0 ? `, and ${rest} more` : '');
}
