/** What diffusers' `save_pretrained` calls the weights of a component, in the order in which they are looked for. */
export const DIFFUSERS_WEIGHTS_FILES: readonly string[] = [
  'diffusion_pytorch_model.safetensors',
  'diffusion_pytorch_model.fp16.safetensors',
  'diffusion_pytorch_model.bin',
];

/** The same of transformers' `save_pretrained`. */
export const TRANSFORMERS_WEIGHTS_FILES: readonly string[] = [
  'model.safetensors',
  'model.fp16.safetensors',
  'model.bf16.safetensors',
  'pytorch_model.bin',
  'pytorch_model.fp16.bin',
  'pytorch_model.bf16.bin',
];

/** For a component of which it is not known who wrote it. */
export const ANY_WEIGHTS_FILES: readonly string[] = [...DIFFUSERS_WEIGHTS_FILES, ...TRANSFORMERS_WEIGHTS_FILES];

/** Where a component's weights are: in one file, or in the shards that an index names. */
export interface WeightsPlace {
  readonly file: string;
  readonly isIndex: boolean;
}

/** The first of the files that is there, or the index of its shards, which comes before it. */
export async function findWeights(
  has: (file: string) => boolean | Promise<boolean>,
  weightsFiles: readonly string[],
): Promise<WeightsPlace | undefined> {
  for (const file of weightsFiles) {
    for (const index of indexesOf(file)) if (await has(index)) return { file: index, isIndex: true };
    if (await has(file)) return { file, isIndex: false };
  }
  return undefined;
}

/** What the index of a file's shards may be called: `a.safetensors.index.json`; of `a.fp16.b` also `a.b.index.fp16.json`. */
function indexesOf(file: string): readonly string[] {
  const [name, variant, format] = file.split('.');
  const own = `${file}.index.json`;
  return format === undefined ? [own] : [own, `${name}.${format}.index.${variant}.json`];
}
