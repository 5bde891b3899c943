import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpointFile } from '../../converters/formats/detect.ts';
import { openComponent } from '../../converters/open-archive.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import { nodeFolder } from '../../src/checkpoint/node-folder.ts';
import { damagedPieces } from '../support/checksums.ts';

const folder = mkdtempSync(join(tmpdir(), 'delta-dit-shards-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The torch files of the fixtures as shards of one component. */
const SHARDS = {
  'diffusion_pytorch_model-00001-of-00002.bin': 'test/fixtures/torch/views-2.pt',
  'diffusion_pytorch_model-00002-of-00002.bin': 'test/fixtures/torch/legacy.pt',
};

/** Writes the shards and their index, with `more` in it. */
async function write(more: Record<string, string> = {}): Promise<void> {
  const weightMap: Record<string, string> = {};
  for (const [shard, path] of Object.entries(SHARDS)) {
    copyFileSync(path, join(folder, shard));
    const archive = await openCheckpointFile(await fileSource(path));
    for (const name of archive.tensors.keys()) weightMap[name] = shard;
    await archive.close();
  }
  const index = JSON.stringify({ metadata: {}, weight_map: { ...weightMap, ...more } });
  writeFileSync(join(folder, 'diffusion_pytorch_model.bin.index.json'), index);
}

describe('a component in shards of torch.save', () => {
  it('has the tensors of all of them, and the checksums of those that have any', async () => {
    await write();
    const { archive, files } = await openComponent(nodeFolder(folder));
    expect(files).toEqual(Object.keys(SHARDS).map((shard) => `${folder}/${shard}`));
    const single = await openCheckpointFile(await fileSource('test/fixtures/torch/views-2.pt'));
    expect([...archive.tensors.keys()]).toEqual([...single.tensors.keys(), 'a']);
    for (const [name, tensor] of single.tensors)
      expect(await archive.tensors.get(name)!.read()).toEqual(await tensor.read());
    expect(await archive.tensors.get('a')!.read()).toHaveLength(8);
    expect(archive.checksums?.length).toBeGreaterThan(2);
    expect(damagedPieces(archive.checksums)).toEqual([]);
    await Promise.all([archive.close(), single.close()]);
  });

  it.each([
    ['tensor', { b: 'diffusion_pytorch_model-00002-of-00002.bin' }, /1 tensors are missing: b/],
    ['shard', { b: 'lost.bin' }, /1 of 3 files could not be opened: lost\.bin/],
    ['shard outside the folder', { b: '../lost.bin' }, /plain file name/],
  ])('is refused for a missing %s', async (_, more, message) => {
    await write(more);
    await expect(openComponent(nodeFolder(folder))).rejects.toThrow(message);
  });
});
