import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { unchecked } from '../unchecked.ts';
import { expectRefusal, PARITY, runCli, scratchFolder } from './run-cli.ts';

const scratch = scratchFolder();
const disk = scratch.path('disk');
const FROM_ORIGINAL = [`${PARITY}/dit-tiny.pt`, '--num-heads', '4', '--vae', `${PARITY}/dit-tiny-diffusers`];

/** A disk of 64 KiB, where this user may mount one. */
function mountSmallDisk(): boolean {
  mkdirSync(disk);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk], { stdio: 'ignore' });
    return true;
  } catch {
    unchecked('a full disk: needs the right to mount a tmpfs');
    return false;
  }
}

const mounted = mountSmallDisk();
afterAll(() => {
  if (mounted) execFileSync('umount', [disk]);
  scratch.remove();
});

describe('on a disk without room', () => {
  it('convert says how much room it needs and leaves nothing behind', async () => {
    if (!mounted) return; // noted as unchecked
    expectRefusal(
      await runCli('convert', ...FROM_ORIGINAL, '--out', `${disk}/out`),
      /needs \d+ MB free, the disk has \d+ MB/,
    );
    expect(readdirSync(disk)).toEqual([]);
  });

  it('generate says that the disk is full and leaves nothing behind', async () => {
    if (!mounted) return; // noted as unchecked
    const model = scratch.path('model');
    expect((await runCli('convert', ...FROM_ORIGINAL, '--out', model)).code).toBe(0);
    expect(() => writeFileSync(`${disk}/filler`, Buffer.alloc(2 ** 17))).toThrow(/ENOSPC/);
    const args = ['-m', model, '--backend', 'wasm', '--class', '1', '--steps', '1', '-o', `${disk}/out.png`];
    expectRefusal(await runCli('generate', ...args), /could not be written \(ENOSPC/);
    expect(readdirSync(disk)).toEqual(['filler']);
  });
});
