import { ditConfigFromShapes } from '../../converters/dit-configs.ts';
import { openCheckpointFile } from '../../converters/formats/detect.ts';
import { autoencoderKLDiffusers } from '../../converters/key-maps/autoencoder-kl-diffusers.ts';
import { DIT_DIFFUSERS } from '../../converters/key-maps/dit-diffusers.ts';
import { DIT_ORIGINAL } from '../../converters/key-maps/dit-original.ts';
import { mapTensors } from '../../converters/key-maps/key-map.ts';
import { openDiT } from '../../converters/open-dit.ts';
import { toFloat32 } from '../../src/checkpoint/dtypes.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import type { StoredTensor, TensorArchive } from '../../src/checkpoint/stored-tensor.ts';
import { CheckpointError } from '../../src/errors.ts';
import { DiT } from '../../src/models/dit.ts';

const PARITY = 'test/fixtures/parity';
const openFile = async (name: string) => openCheckpointFile(await fileSource(`${PARITY}/${name}`));

/** Every tensor's bytes, as hex, by name. */
async function contents(archive: TensorArchive): Promise<Record<string, string>> {
  const read = [...archive.tensors].map(
    async ([name, t]) => [name, Buffer.from(await t.read()).toString('hex')] as const,
  );
  return Object.fromEntries(await Promise.all(read));
}

function changed(archive: TensorArchive, change: (tensors: Map<string, StoredTensor>) => void): TensorArchive {
  const tensors = new Map(archive.tensors);
  change(tensors);
  return { ...archive, tensors };
}

describe('layouts of DiT', () => {
  it('give the same tensors from facebookresearch/DiT and from diffusers', async () => {
    const vae = `${PARITY}/dit-tiny-diffusers`;
    const original = await openDiT(`${PARITY}/dit-tiny.pt`, { numHeads: 4, vae });
    const diffusers = await openDiT(vae);
    expect(await contents(original.transformer.archive)).toEqual(await contents(diffusers.transformer.archive));
    expect(original.transformer.config).toEqual({ ...diffusers.transformer.config, frequencyShift: 0, normEps: 1e-6 });
    expect(diffusers.labels).toHaveLength(7);
    await Promise.all([original.close(), diffusers.close()]);
  });

  it('transpose linears to [in,out] and convolutions to HWIO', async () => {
    const archive = await openFile('dit-p8-weights.safetensors');
    const config = ditConfigFromShapes(archive, { numHeads: 2 });
    const mapped = mapTensors(archive, DIT_ORIGINAL, { depth: 1, parameters: DiT.parameterShapes(config) });
    const values = async (from: TensorArchive, name: string) => toFloat32(await from.tensors.get(name)!.read(), 'F32');

    const [weight, kernel] = [
      await values(archive, 'blocks.0.attn.qkv.weight'),
      await values(mapped, 'blocks.0.attn.qkv.kernel'),
    ];
    expect(mapped.tensors.get('blocks.0.attn.qkv.kernel')?.shape).toEqual([16, 48]);
    for (const [out, into] of [
      [0, 0],
      [47, 0],
      [5, 11],
      [33, 15],
    ] as const)
      expect(kernel[into * 48 + out]).toBe(weight[out * 16 + into]);

    const [oihw, hwio] = [
      await values(archive, 'x_embedder.proj.weight'),
      await values(mapped, 'x_embedder.proj.kernel'),
    ];
    expect(mapped.tensors.get('x_embedder.proj.kernel')?.shape).toEqual([8, 8, 4, 16]);
    for (const [o, i, h, w] of [
      [0, 0, 0, 0],
      [15, 3, 7, 7],
      [9, 2, 1, 6],
    ] as const) {
      expect(hwio[((h * 8 + w) * 4 + i) * 16 + o]).toBe(oihw[((o * 4 + i) * 8 + h) * 8 + w]);
    }
    await archive.close();
  });

  it('report missing, unexpected and wrong-shape tensors together', async () => {
    const archive = await openFile('dit-p8-weights.safetensors');
    const target = { depth: 1, parameters: DiT.parameterShapes(ditConfigFromShapes(archive, { numHeads: 2 })) };
    const bad = changed(archive, (tensors) => {
      tensors.delete('blocks.0.attn.qkv.bias');
      tensors.set('lora.weight', tensors.get('blocks.0.mlp.fc1.bias')!);
      tensors.set('final_layer.linear.bias', { ...tensors.get('final_layer.linear.bias')!, shape: [256] });
    });
    const error = (() => {
      try {
        mapTensors(bad, DIT_ORIGINAL, target);
        return undefined;
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(CheckpointError);
    expect((error as Error).message).toContain('1 missing: blocks.0.attn.qkv.bias. 1 unexpected: lora.weight.');
    expect((error as Error).message).toContain(
      '1 of the wrong shape: final_layer.linear.bias (expected [512], got [256])',
    );
    await archive.close();
  });

  it('refuse diffusers weights whose blocks have embedders of their own', async () => {
    const folder = `${PARITY}/dit-tiny-diffusers`;
    const { transformer, close } = await openDiT(folder);
    const archive = await openFile('dit-tiny-diffusers/transformer/diffusion_pytorch_model.safetensors');
    const name = 'transformer_blocks.2.norm1.emb.timestep_embedder.linear_1.bias';
    const odd = changed(archive, (tensors) => {
      const tensor = tensors.get(name)!;
      tensors.set(name, { ...tensor, read: async () => (await tensor.read()).fill(1) });
    });
    const mapped = mapTensors(odd, DIT_DIFFUSERS, { depth: 3, parameters: DiT.parameterShapes(transformer.config) });
    await expect(mapped.tensors.get('t_embedder.mlp.0.bias')?.read()).rejects.toThrow(`${name} differs from`);
    await Promise.all([archive.close(), close()]);
  });
});

it('old and new attention names of AutoencoderKL give the same tensors', async () => {
  const mapped = async (folder: string) => {
    const archive = await openFile(`${folder}/diffusion_pytorch_model.safetensors`);
    const all = mapTensors(archive, autoencoderKLDiffusers(archive), {
      depth: 0,
      parameters: new Map(),
      alsoKept: /./,
    });
    const read = await contents(all);
    await archive.close();
    return read;
  };
  expect(await mapped('vae-deep-old-names')).toEqual(await mapped('vae-deep'));
});
