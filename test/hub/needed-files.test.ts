import { readFileSync } from 'node:fs';
import { CheckpointError, FormatError } from '../../src/errors.ts';
import { neededFiles, type Wanted } from '../../src/hub/needed-files.ts';

const ALL: Wanted = { path: '', part: 'pipeline', without: [] };
const INDEX = (parts: Record<string, unknown>, _class_name = 'PixArtAlphaPipeline') =>
  JSON.stringify({ _class_name, ...parts });
const PART = ['diffusers', 'Model'];
const PIXART = INDEX({
  transformer: PART,
  vae: PART,
  text_encoder: PART,
  tokenizer: PART,
  scheduler: PART,
  safety_checker: [null, null],
});

/** What is needed of a model with these files; a text is that of a file that is read for it. */
function needed(files: Record<string, string>, wanted: Partial<Wanted> = {}) {
  const repo = { name: 'a/b', paths: new Set(Object.keys(files)), text: async (path: string) => files[path] ?? '' };
  return neededFiles(repo, { ...ALL, ...wanted });
}

const COMPONENT = (part: string, weights = 'diffusion_pytorch_model.safetensors') => ({
  [`${part}/config.json`]: '',
  [`${part}/${weights}`]: '',
});
const WHOLE = {
  'model_index.json': PIXART,
  'README.md': '',
  '.gitattributes': '',
  'scheduler/scheduler_config.json': '',
  ...COMPONENT('transformer'),
  ...COMPONENT('transformer', 'diffusion_pytorch_model.bin'),
  ...COMPONENT('transformer', 'diffusion_pytorch_model.fp16.safetensors'),
  ...COMPONENT('vae', 'diffusion_pytorch_model.bin'),
  'vae/diffusion_pytorch_model.ckpt': '',
  'text_encoder/config.json': '',
  'text_encoder/model.safetensors.index.json':
    '{"weight_map": {"x": "model-1.safetensors", "y": "model-2.safetensors"}}',
  'text_encoder/model-1.safetensors': '',
  'text_encoder/model-2.safetensors': '',
  'text_encoder/pytorch_model.bin': '',
  'tokenizer/spiece.model': '',
  'tokenizer/tokenizer_config.json': '',
  'tokenizer/readme.txt': '',
  'safety_checker/config.json': '',
};
const TRANSFORMER = ['transformer/config.json', 'transformer/diffusion_pytorch_model.safetensors'];
const VAE = ['vae/config.json', 'vae/diffusion_pytorch_model.bin'];
const TEXT = [
  'text_encoder/config.json',
  'text_encoder/model.safetensors.index.json',
  'text_encoder/model-1.safetensors',
  'text_encoder/model-2.safetensors',
];
const TOKENIZER = ['tokenizer/spiece.model', 'tokenizer/tokenizer_config.json'];

describe('of a diffusers folder', () => {
  it('what model_index.json names, each in one form', async () => {
    const { entry, files } = await needed(WHOLE);
    expect(entry).toBe('');
    const index = ['model_index.json', 'scheduler/scheduler_config.json'];
    expect([...files].sort()).toEqual([...index, ...TRANSFORMER, ...VAE, ...TEXT, ...TOKENIZER].sort());
    expect(files[0]).toBe('model_index.json');
  });

  it('not what comes from elsewhere', async () => {
    const { files } = await needed(WHOLE, { without: ['text_encoder', 'tokenizer', 'vae'] });
    expect([...files].sort()).toEqual(['model_index.json', 'scheduler/scheduler_config.json', ...TRANSFORMER].sort());
  });

  it.each([
    ['vae', VAE],
    ['text_encoder', [...TEXT, ...TOKENIZER]],
    ['tokenizer', TOKENIZER],
  ] as const)('its %s alone', async (part, files) => {
    const found = await needed(WHOLE, { part });
    expect(found.entry).toBe('');
    expect([...found.files].sort()).toEqual([...files].sort());
  });

  it('a folder or a file inside', async () => {
    expect(await needed(WHOLE, { path: 'vae' })).toEqual({ entry: 'vae', files: VAE });
    const path = 'vae/diffusion_pytorch_model.ckpt';
    expect(await needed(WHOLE, { path })).toEqual({ entry: path, files: [path] });
  });

  it('the first variant that is whole, an index before the file beside it', async () => {
    const files = {
      'model_index.json': INDEX({ transformer: PART }, 'DiTPipeline'),
      'transformer/config.json': '',
      'transformer/diffusion_pytorch_model.fp16.safetensors': '',
      'transformer/diffusion_pytorch_model.safetensors.index.fp16.json': '{"weight_map": {"x": "a.safetensors"}}',
      'transformer/a.safetensors': '',
      'transformer/diffusion_pytorch_model.bin': '',
    };
    expect((await needed(files)).files).toEqual([
      'model_index.json',
      'transformer/config.json',
      'transformer/diffusion_pytorch_model.safetensors.index.fp16.json',
      'transformer/a.safetensors',
    ]);
  });

  it.each(['StableDiffusionPipeline', 'PixArtSigmaPipeline'])('nothing of a %s', async (name) => {
    await expect(needed({ ...WHOLE, 'model_index.json': INDEX({}, name) })).rejects.toThrow(
      `a/b: is a "${name}"; DiTPipeline and PixArtAlphaPipeline are read`,
    );
  });

  it.each([
    'transformer/config.json',
    'vae/diffusion_pytorch_model.bin',
    'text_encoder/model-2.safetensors',
    'tokenizer/spiece.model',
    'scheduler/scheduler_config.json',
  ])('nothing where %s is missing', async (path) => {
    const { [path as keyof typeof WHOLE]: _, ...rest } = WHOLE;
    await expect(needed(rest)).rejects.toThrow(CheckpointError);
  });

  it.each(['../../secret', '/etc/passwd', 'a/b'])('never a shard called %s', async (name) => {
    const index = JSON.stringify({ weight_map: { x: name } });
    await expect(needed({ ...WHOLE, 'text_encoder/model.safetensors.index.json': index })).rejects.toThrow(FormatError);
  });
});

describe('of other layouts', () => {
  const manifest = readFileSync('checkpoints/pixart-emoji/manifest.json', 'utf8');
  const converted = Object.fromEntries(
    ['transformer', 'vae', 'text_encoder'].map((name) => [`${name}.safetensors`, '']),
  );
  const tokenizer = { 'spiece.model': '', 'tokenizer_config.json': '' };
  const CONVERTED = { 'manifest.json': manifest, 'samples.png': '', ...converted, ...tokenizer };

  it('what the manifest names', async () => {
    const { 'samples.png': _, ...rest } = CONVERTED;
    expect([...(await needed(CONVERTED)).files].sort()).toEqual(Object.keys(rest).sort());
    expect((await needed(CONVERTED, { part: 'vae' })).files).toEqual(['manifest.json', 'vae.safetensors']);
    expect((await needed(CONVERTED, { without: ['text_encoder', 'tokenizer'] })).files).toEqual([
      'manifest.json',
      'transformer.safetensors',
      'vae.safetensors',
    ]);
  });

  it('configuration and weights of one model, with the tokenizer beside it', async () => {
    const vae = { 'config.json': '', 'diffusion_pytorch_model.bin': '', 'diffusion_pytorch_model.safetensors': '' };
    const weights = ['config.json', 'diffusion_pytorch_model.safetensors'];
    expect((await needed(vae)).files).toEqual(weights);
    expect((await needed({ ...vae, ...tokenizer }, { part: 'vae' })).files).toEqual(weights);
    const t5 = { 'config.json': '', 'pytorch_model.bin': '', 'tf_model.h5': '', ...tokenizer };
    const all = ['config.json', 'pytorch_model.bin', 'spiece.model', 'tokenizer_config.json'];
    expect((await needed(t5, { part: 'text_encoder' })).files).toEqual(all);
    expect((await needed(t5)).files).toEqual(all);
  });

  it('the one weights file, safetensors before others', async () => {
    const only = (entry: string) => ({ entry, files: [entry], isOnlyOne: true });
    expect(await needed({ 'README.md': '', 'DiT-XL-2-256x256.pt': '', 'deeper/x.pt': '' })).toEqual(
      only('DiT-XL-2-256x256.pt'),
    );
    expect(await needed({ 'x.pt': '', 'x.safetensors': '' })).toEqual(only('x.safetensors'));
    expect(await needed({ 'x.pt': '', 'deeper/x.pt': '' }, { path: 'deeper' })).toEqual(only('deeper/x.pt'));
  });

  it('none of several, which it lists', async () => {
    await expect(needed({ 'a.pth': '', 'b.pth': '' })).rejects.toThrow(
      'a/b: has 2 weights files: a.pth, b.pth; name the one you mean, as hf://a/b/a.pth',
    );
  });

  it('nothing of what holds no checkpoint', async () => {
    await expect(needed({ 'README.md': '' })).rejects.toThrow(/holds no checkpoint; expected .*, got README\.md/);
    await expect(needed(WHOLE, { path: 'nowhere' })).rejects.toThrow(/a\/b\/nowhere: there is no such file or folder/);
  });
});
