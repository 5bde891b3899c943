import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { detectModel } from '../../converters/detect-model.ts';
import { openCheckpointFile } from '../../converters/formats/detect.ts';
import { type AutoencoderOptions, openAutoencoder } from '../../converters/open-autoencoder.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import type { StoredTensor, TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { CheckpointError, FileError, OptionError } from '../../src/errors.ts';
import { damagedPieces } from '../support/checksums.ts';

const PARITY = join(__dirname, '../fixtures/parity');
const LDM = join(PARITY, 'vae-deep-ldm.ckpt');
const FOLDER = join(PARITY, 'vae-deep');
/** What the narrow fixture does not share with the released autoencoders. */
const SIZES = { vaeNormGroups: 4, vaeScalingFactor: 0.13025 };

const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-vae-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Names, shapes and bytes, in the order of the names. */
async function contentOf({ tensors }: TensorArchive): Promise<[string, string][]> {
  const content: [string, string][] = [];
  for (const [name, { shape, dtype, read }] of tensors)
    content.push([name, `${dtype} ${shape} ${Buffer.from(await read()).toString('base64')}`]);
  return content.sort(([a], [b]) => (a < b ? -1 : 1));
}

async function opened(options: AutoencoderOptions) {
  const { config, archive, files } = await openAutoencoder(options);
  const content = await contentOf(archive);
  expect(damagedPieces(archive.checksums)).toEqual([]);
  await archive.close();
  return { config, content, files };
}

/** A safetensors file of the tensors of `from`, changed. */
async function rewritten(
  name: string,
  from: string,
  change: (tensor: StoredTensor) => readonly StoredTensor[],
): Promise<string> {
  const archive = await openCheckpointFile(await fileSource(from));
  const pieces: Uint8Array[] = [];
  await writeSafetensors(
    async (bytes) => void pieces.push(bytes.slice()),
    [...archive.tensors.values()].flatMap(change),
  );
  await archive.close();
  const path = join(scratch, name);
  writeFileSync(path, Buffer.concat(pieces));
  return path;
}

const STAGE = 'first_stage_model.';
const renamedTo = (prefix: string) => (tensor: StoredTensor) =>
  tensor.name.startsWith(STAGE) ? [{ ...tensor, name: prefix + tensor.name.slice(STAGE.length) }] : [];

describe('an autoencoder in the layout of latent-diffusion', () => {
  it('is, inside a Stable Diffusion file, bit for bit what diffusers has in its folder', async () => {
    const ldm = await opened({ vae: LDM, ...SIZES });
    const folder = await opened({ vae: FOLDER });
    expect(ldm.content).toEqual(folder.content);
    expect(ldm.config).toEqual(folder.config);
    expect(ldm.files).toEqual([LDM]);
  });

  it.each(['', 'vae.'])('is found under the prefix "%s"', async (prefix) => {
    const path = await rewritten('prefixed.safetensors', LDM, renamedTo(prefix));
    expect((await opened({ vae: path, ...SIZES })).content).toEqual((await opened({ vae: FOLDER })).content);
  });

  it('may have its attention squeezed, and a discriminator beside it', async () => {
    const path = await rewritten('squeezed.safetensors', LDM, (tensor) => {
      const [renamed] = renamedTo('')(tensor);
      if (!renamed) return [];
      const squeezed = renamed.name.includes('attn_1') ? renamed.shape.slice(0, 2) : renamed.shape;
      const discriminator = renamed.name === 'quant_conv.bias' ? [{ ...renamed, name: 'loss.logvar' }] : [];
      return [{ ...renamed, shape: squeezed }, ...discriminator];
    });
    expect((await opened({ vae: path, ...SIZES })).content).toEqual((await opened({ vae: FOLDER })).content);
  });

  it('is named by inspect', async () => {
    const archive = await openCheckpointFile(await fileSource(LDM));
    expect(detectModel(archive)).toEqual({
      kind: 'autoencoder-kl',
      description: 'AutoencoderKL, layout of CompVis/latent-diffusion under first_stage_model',
    });
    await archive.close();
  });

  it('is refused with the names of what is missing and unexpected', async () => {
    const path = await rewritten('lost.safetensors', LDM, (tensor) => {
      const [renamed] = renamedTo('')(tensor);
      if (renamed?.name === 'decoder.up.1.block.0.conv1.bias') return [{ ...renamed, name: 'decoder.up.1.odd' }];
      return renamed ? [renamed] : [];
    });
    await expect(openAutoencoder({ vae: path, ...SIZES })).rejects.toThrow(
      /1 missing: decoder\.up\.1\.block\.0\.conv1\.bias\. 1 unexpected: decoder\.up\.1\.odd/,
    );
  });

  it('is refused where a block number is beyond all tensors', async () => {
    const path = await rewritten('many.safetensors', LDM, (tensor) =>
      renamedTo('')(tensor).map((renamed) => ({
        ...renamed,
        name: renamed.name.replace('decoder.up.2.', 'decoder.up.999999999.'),
      })),
    );
    await expect(openAutoencoder({ vae: path, ...SIZES })).rejects.toThrow(/names a block 999999999/);
  });
});

describe('an autoencoder in a single file of diffusers', () => {
  const file = join(FOLDER, 'diffusion_pytorch_model.safetensors');

  it.each(['vae-deep', 'vae-deep-old-names'])('%s has the sizes and weights of its folder', async (name) => {
    const single = await opened({ vae: join(PARITY, name, 'diffusion_pytorch_model.safetensors'), ...SIZES });
    expect({ ...single, files: [] }).toEqual({ ...(await opened({ vae: FOLDER })), files: [] });
  });

  it('has the scaling factor of sd-vae-ft-ema unless told otherwise', async () => {
    const { config } = await opened({ vae: file, vaeNormGroups: 4 });
    expect(config.scalingFactor).toBe(0.18215);
  });

  it('asks for the groups of its norms where they are not 32', async () => {
    const error = await openAutoencoder({ vae: file }).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(OptionError);
    expect((error as Error).message).toMatch(/at (4|8|12) channels; give --vae-norm-groups/);
  });

  it('refuses groups that do not divide its channels', async () => {
    await expect(openAutoencoder({ vae: file, vaeNormGroups: 3 })).rejects.toThrow(/normNumGroups/);
  });
});

describe('an autoencoder in a converted folder', () => {
  const converted = join(__dirname, '../../checkpoints/dit-emoji');

  it('is that of the manifest, encoder included', async () => {
    const { config, archive, files } = await openAutoencoder({ vae: converted });
    expect(config).toMatchObject({ blockOutChannels: [32, 64, 64], latentChannels: 4, scalingFactor: 1 });
    expect(files).toEqual([`${converted}/vae.safetensors`]);
    expect(archive.tensors.has('encoder.conv_in.kernel')).toBe(true);
    await archive.close();
  });

  it('takes what is given instead of what the manifest says', async () => {
    const { config, archive } = await openAutoencoder({ vae: converted, vaeScalingFactor: 0.5, vaeNormGroups: 8 });
    expect(config).toMatchObject({ scalingFactor: 0.5, normNumGroups: 8 });
    await archive.close();
    await expect(openAutoencoder({ vae: converted, vaeNormGroups: 7 })).rejects.toThrow(/normNumGroups/);
  });
});

describe('openAutoencoder', () => {
  it('lets what is given win over config.json', async () => {
    expect((await opened({ vae: FOLDER, vaeScalingFactor: 0.5 })).config.scalingFactor).toBe(0.5);
  });

  it.each<[string, string, new () => Error, RegExp]>([
    ['a path that is not there', join(scratch, 'none'), FileError, /--vae .*none: no such file or folder/],
    ['a folder without config.json', scratch, CheckpointError, /expected config\.json/],
    ['a file of another model', join(PARITY, 'dit-tiny.pt'), CheckpointError, /holds no AutoencoderKL/],
  ])('refuses %s', async (_, vae, kind, message) => {
    const error = await openAutoencoder({ vae }).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(kind);
    expect((error as Error).message).toMatch(message);
  });
});
