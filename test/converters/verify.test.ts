import { createHash } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { convertCheckpoint } from '../../converters/convert.ts';
import { type VerifyProgress, verifyCheckpoint } from '../../converters/verify.ts';
import { fileSource } from '../../src/checkpoint/file-source.ts';
import type { Manifest } from '../../src/checkpoint/manifest.ts';
import { openSafetensors } from '../../src/checkpoint/safetensors.ts';
import { writeSafetensors } from '../../src/checkpoint/safetensors-writer.ts';
import type { StoredTensor } from '../../src/checkpoint/stored-tensor.ts';
import { AbortError, CheckpointError } from '../../src/errors.ts';

const scratch = mkdtempSync(join(tmpdir(), 'delta-dit-verify-'));
const whole = join(scratch, 'whole');
const damaged = join(scratch, 'damaged');
beforeAll(() =>
  convertCheckpoint({
    from: join(__dirname, '../fixtures/parity/dit-tiny-diffusers'),
    out: whole,
    shardBytes: 100_000,
  }),
);
beforeEach(() => {
  rmSync(damaged, { recursive: true, force: true });
  cpSync(whole, damaged, { recursive: true });
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8'));

/** Writes a file of the damaged folder anew, and puts its new size and checksum into the manifest. */
async function rewrite(file: string, change: (tensor: StoredTensor) => readonly StoredTensor[]): Promise<void> {
  const path = join(damaged, file);
  const archive = await openSafetensors(await fileSource(path));
  const pieces: Uint8Array[] = [];
  await writeSafetensors(
    async (bytes) => void pieces.push(bytes.slice()),
    [...archive.tensors.values()].flatMap(change),
  );
  await archive.close();
  const bytes = Buffer.concat(pieces);
  writeFileSync(path, bytes);
  const manifest = manifestOf(damaged);
  for (const listed of [...manifest.transformer.files, ...manifest.vae.files]) {
    if (listed.name !== file) continue;
    listed.bytes = bytes.length;
    listed.sha256 = createHash('sha256').update(bytes).digest('hex');
  }
  writeFileSync(join(damaged, 'manifest.json'), JSON.stringify(manifest));
}

describe('verifyCheckpoint', () => {
  it('finds nothing wrong with what was converted, and reports its progress to the end', async () => {
    const seen: VerifyProgress[] = [];
    const report = await verifyCheckpoint(whole, { onProgress: (progress) => seen.push(progress) });
    const manifest = manifestOf(whole);
    const files = [...manifest.transformer.files, ...manifest.vae.files];
    expect(files.length).toBeGreaterThan(2);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    expect(report).toMatchObject({ files: files.length, bytes, nan: 0, infinite: 0, problems: [] });
    const { doneBytes, totalBytes } = seen.at(-1)!;
    expect(totalBytes).toBe(2 * bytes);
    expect(doneBytes / totalBytes).toBeGreaterThan(0.9); // headers are read once
    expect(doneBytes).toBeLessThanOrEqual(totalBytes);
  });

  it('goes on after a problem and lists all', async () => {
    const { transformer, vae } = manifestOf(damaged);
    const [first, second] = transformer.files.map(({ name }) => name);
    const flipped = readFileSync(join(damaged, first!));
    flipped[flipped.length - 1] = flipped[flipped.length - 1]! ^ 1;
    writeFileSync(join(damaged, first!), flipped);
    rmSync(join(damaged, second!));
    const cut = vae.files[0]!.name;
    writeFileSync(join(damaged, cut), readFileSync(join(damaged, cut)).subarray(0, 1000));
    const { problems } = await verifyCheckpoint(damaged);
    expect(problems).toEqual([
      expect.stringMatching(`${first}: expected sha256 [0-9a-f]{64}, got`),
      expect.stringMatching(`${second}: there is no such file`),
      expect.stringMatching(`${cut}: expected \\d+ bytes, got 1000`),
      expect.stringMatching(`${cut}: expected sha256`),
      expect.stringMatching(cut),
    ]);
  });

  it('counts NaN and infinities, tensor by tensor', async () => {
    const file = manifestOf(damaged).transformer.files[0]!.name;
    let changed = '';
    await rewrite(file, (tensor) => {
      if (changed !== '') return [tensor];
      changed = tensor.name;
      const read = async () => {
        const bytes = await tensor.read();
        new Uint16Array(bytes.buffer, bytes.byteOffset, 3).set([0x7e00, 0x7c00, 0xfc00]);
        return bytes;
      };
      return [{ ...tensor, read }];
    });
    const { nan, infinite, problems } = await verifyCheckpoint(damaged);
    expect({ nan, infinite }).toEqual({ nan: 1, infinite: 2 });
    expect(problems).toEqual([expect.stringContaining(`${changed}: 1 NaN and 2 infinite of `)]);
  });

  it('compares names, shapes and types with the model', async () => {
    const file = manifestOf(damaged).transformer.files[0]!.name;
    await rewrite(file, (tensor) => {
      if (tensor.name === 'x_embedder.proj.bias') return [{ ...tensor, shape: [1, ...tensor.shape], dtype: 'BF16' }];
      return tensor.name === 't_embedder.mlp.0.bias' ? [{ ...tensor, name: 'odd' }] : [tensor];
    });
    const { problems } = await verifyCheckpoint(damaged);
    expect(problems).toEqual([
      expect.stringMatching(/x_embedder\.proj\.bias: expected F16, got BF16/),
      expect.stringMatching(
        /1 missing: t_embedder\.mlp\.0\.bias\. 1 unexpected: odd\. 1 of the wrong shape: x_embedder\.proj\.bias/,
      ),
    ]);
  });

  it('reports a tensor that two files have', async () => {
    const [first, second] = manifestOf(damaged).transformer.files.map(({ name }) => name);
    const archive = await openSafetensors(await fileSource(join(damaged, first!)));
    const [copy] = archive.tensors.values();
    let added = false;
    await rewrite(second!, (tensor) => {
      const twice = added ? [tensor] : [copy!, tensor];
      added = true;
      return twice;
    });
    await archive.close();
    expect((await verifyCheckpoint(damaged)).problems).toEqual([
      expect.stringMatching(/transformer: 1 tensors occur twice/),
    ]);
  });

  it('refuses a folder without a manifest, or with one that is none', async () => {
    await expect(verifyCheckpoint(scratch)).rejects.toThrow(/has no manifest\.json to compare with/);
    writeFileSync(join(damaged, 'manifest.json'), '{}');
    await expect(verifyCheckpoint(damaged)).rejects.toThrow(CheckpointError);
  });

  it('stops when it is told to', async () => {
    await expect(verifyCheckpoint(whole, { signal: AbortSignal.abort() })).rejects.toThrow(AbortError);
  });
});
