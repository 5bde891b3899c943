import { openCheckpointFile } from '../../../converters/formats/detect.ts';
import { bytesPerElement } from '../../../src/checkpoint/dtypes.ts';
import { fileSource } from '../../../src/checkpoint/file-source.ts';
import type { StoredTensor } from '../../../src/checkpoint/stored-tensor.ts';
import { elementCount } from '../../../src/shape.ts';

const open = async (file: string) => openCheckpointFile(await fileSource(`test/fixtures/torch/${file}`));

/** All elements, in pieces of two and what is left. */
async function inPieces({ readElements, shape }: StoredTensor): Promise<Buffer> {
  const count = elementCount(shape);
  const pieces: Uint8Array[] = [];
  for (let start = 0; start < count; start += 2) pieces.push(await readElements!(start, Math.min(2, count - start)));
  return Buffer.concat(pieces);
}

describe('pieces of tensors', () => {
  it.each(['views-2.pt', 'views-4.pt', 'views-legacy.pt', 'dtypes-2.pt', 'dtypes.safetensors'])(
    'are those of the whole, of all that lie side by side in %s',
    async (file) => {
      const archive = await open(file);
      const divisible = [...archive.tensors.values()].filter((tensor) => tensor.readElements);
      expect(divisible.length).toBeGreaterThan(1);
      for (const tensor of divisible) {
        const whole = await tensor.read();
        expect(whole.length).toBe(elementCount(tensor.shape) * bytesPerElement(tensor.dtype));
        expect([tensor.name, (await inPieces(tensor)).equals(whole)]).toEqual([tensor.name, true]);
      }
      await archive.close();
    },
  );

  it('cannot be read of a transposed view', async () => {
    const archive = await open('views-4.pt');
    const scattered = [...archive.tensors.values()].filter((tensor) => !tensor.readElements).map(({ name }) => name);
    expect(scattered.length).toBeGreaterThan(0);
    await archive.close();
  });
});
