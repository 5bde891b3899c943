import { openCheckpointFile } from '../../converters/formats/detect.ts';
import { parseLenientJson } from '../../converters/formats/lenient-json.ts';
import { unpickle } from '../../converters/formats/pickle.ts';
import { drawTensors } from '../../converters/inspect.ts';
import { blobSource } from '../../src/checkpoint/blob-source.ts';
import { FormatError } from '../../src/errors.ts';
import { parseAutoencoderKLConfig, parseDiTConfig } from '../../src/models/parse-config.ts';

/** A safetensors file with the header as it is given, and no data. */
function safetensors(header: string) {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return blobSource(new Blob([bytes]), 'hostile.safetensors');
}

it('a type nested a hundred thousand deep ends in a FormatError', async () => {
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  await expect(
    openCheckpointFile(safetensors(`{"a":{"dtype":${deep},"shape":[0],"data_offsets":[0,0]}}`)),
  ).rejects.toBeInstanceOf(FormatError);
});

it('a name of twenty thousand parts is drawn without overflowing the stack', async () => {
  const name = `${'a.'.repeat(20_000)}a`;
  const archive = await openCheckpointFile(safetensors(`{"${name}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`));
  expect(drawTensors(archive)).toContain('F32 [0]');
  await archive.close();
});

it('a global whose module is a deep list ends in a FormatError', () => {
  const deep = [...Array(900).fill(0x28), ...Array(900).fill(0x6c)]; // MARK … LIST
  const lists = Uint8Array.from([0x80, 4, ...deep, 0x8c, 1, 0x61, 0x93, 0x2e]); // SHORT_BINUNICODE "a", STACK_GLOBAL, STOP
  expect(() => unpickle(lists, { where: 'hostile', globals: new Map() })).toThrow(FormatError);
});

it('an unterminated string of escapes is refused in linear time', () => {
  const refused = (pairs: number) =>
    expect(() => parseLenientJson('hostile', `"${'\\"'.repeat(pairs)}`)).toThrow(FormatError);
  refused(500_000); // quadratic work would take minutes
  expect(() => parseLenientJson('hostile', `{"a": "${'\\"'.repeat(400_000)}\\`)).toThrow(FormatError);
});

it('sizes that no model has are refused before anything is built', () => {
  const sizes = { hiddenSize: 48, numHeads: 4, patchSize: 2, mlpRatio: 4, inChannels: 4, outChannels: 8, inputSize: 8 };
  const config = { ...sizes, depth: 1e8, numClasses: 7, frequencyShift: 0, normEps: 1e-6 };
  expect(() => parseDiTConfig('hostile', config)).toThrow(/depth/);
  const vae = { layersPerBlock: 1e8, latentChannels: 4, outChannels: 3, normNumGroups: 8, scalingFactor: 1 };
  expect(() => parseAutoencoderKLConfig('hostile', { ...vae, blockOutChannels: [8] })).toThrow(/layersPerBlock/);
});
