import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openClassifier } from '../../converters/open-classifier.ts';
import { parseManifest } from '../../src/checkpoint/manifest.ts';
import { CheckpointError, FileError } from '../../src/errors.ts';

const SHIPPED = 'checkpoints/emoji-classifier';

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'delta-dit-classifier-'));
  for (const name of ['manifest.json', 'classifier.safetensors']) cpSync(join(SHIPPED, name), join(scratch, name));
});
afterEach(() => rmSync(scratch, { recursive: true, force: true }));

type Json = Record<string, unknown> & { classifier: { config: Record<string, unknown> }; labels: unknown[] };

function rewrite(change: (manifest: Json) => void): void {
  const path = join(scratch, 'manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Json;
  change(manifest);
  writeFileSync(path, JSON.stringify(manifest));
}

async function expectFailure(errorClass: new (...args: never[]) => Error, text: RegExp, path = scratch): Promise<void> {
  const error = await openClassifier(path).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(errorClass);
  expect((error as Error).message).toMatch(text);
}

describe('openClassifier', () => {
  it('opens the shipped one, whose labels know their names and groups', async () => {
    const { config, labels, archive, files, sha256, close } = await openClassifier(SHIPPED);
    await close();
    expect(config).toEqual({ imageSize: 64, inChannels: 3, channels: [32, 64, 96, 128], blocks: 1, numLabels: 535 });
    expect(labels[0]).toEqual({ names: ['grinning', 'grinning face'], group: 'smiling face' });
    expect(new Set(labels.map(({ group }) => group)).size).toBe(28 + 1); // the classes of dit-emoji, and none
    expect(archive.tensors.size).toBe(2 * (4 * 3 + 1));
    expect([files, sha256.length]).toEqual([[`${SHIPPED}/classifier.safetensors`], 1]);
  });

  it('says what is wrong with a path', async () => {
    await expectFailure(FileError, /nowhere: no such folder; give the folder of an image classifier/, 'nowhere');
    await expectFailure(CheckpointError, /has no manifest\.json; give a folder like/, 'test/fixtures');
    await expectFailure(CheckpointError, /got a DiTPipeline, which makes pictures/, 'checkpoints/dit-emoji');
  });

  it('says what is wrong with a manifest', async () => {
    rewrite((manifest) => manifest.labels.pop());
    await expectFailure(CheckpointError, /manifest\.json: expected 535 labels, got 534/);
    rewrite((manifest) => {
      manifest.labels = [{ group: 'heart' }];
    });
    await expectFailure(CheckpointError, /names/);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['a size that cannot be halved', { imageSize: 72 }, /imageSize cannot be halved by every stage/],
    ['a hostile depth', { blocks: 1e9 }, /blocks/],
    ['another width', { channels: [32, 64, 96, 64] }, /stages\.3\.downsample\.kernel.*expected \[3, 3, 96, 64\]/],
    ['more blocks than there are', { blocks: 2 }, /missing.*stages\.0\.blocks\.1\.conv1\.kernel/],
  ])('refuses %s', async (_, changed, text) => {
    rewrite(({ classifier }) => Object.assign(classifier.config, changed));
    await expectFailure(CheckpointError, new RegExp(text.source, 's'));
  });

  it('refuses a file that is cut short', async () => {
    truncateSync(join(scratch, 'classifier.safetensors'), 1000);
    await expectFailure(CheckpointError, /classifier\.safetensors: expected \d+ bytes, got 1000/);
  });
});

it('parseManifest, for models that make pictures, refuses it by name', () => {
  const text = readFileSync(join(SHIPPED, 'manifest.json'), 'utf8');
  expect(() => parseManifest('m', text)).toThrow(CheckpointError);
  expect(() => parseManifest('m', text)).toThrow('m: is an image classifier, which makes no pictures');
});
