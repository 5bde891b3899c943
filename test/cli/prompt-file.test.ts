import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readPromptFile } from '../../src/cli/prompt-file.ts';
import { FileError, FormatError } from '../../src/errors.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'prompts-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileOf(content: string | Uint8Array): Promise<string> {
  const path = join(folder, 'prompts.txt');
  await writeFile(path, content);
  return path;
}

describe('readPromptFile', () => {
  it('takes one prompt a line, without blank lines and comments', async () => {
    const path = await fileOf('# mine\n\n  a red apple \r\na café ☕\n \t\n  # not this\rblue heart #2');
    expect(await readPromptFile(path)).toEqual(['a red apple', 'a café ☕', 'blue heart #2']);
  });

  it('leaves out a byte order mark, and needs no line end', async () => {
    expect(await readPromptFile(await fileOf('\uFEFFa red apple'))).toEqual(['a red apple']);
  });

  it('reads a pipe', async () => {
    const path = join(folder, 'pipe');
    execFileSync('mkfifo', [path]);
    const [prompts] = await Promise.all([readPromptFile(path), writeFile(path, 'a red apple\na blue heart\n')]);
    expect(prompts).toEqual(['a red apple', 'a blue heart']);
  });

  it('takes 100,000 lines and no more', async () => {
    expect(await readPromptFile(await fileOf('a\n'.repeat(100_000)))).toHaveLength(100_000);
    const problem = readPromptFile(await fileOf('a\n'.repeat(100_001)));
    await expect(problem).rejects.toThrow(FormatError);
    await expect(problem).rejects.toThrow(/prompts\.txt: expected at most 100000 lines of prompts, got 100001; split/);
  });

  it.each([
    ['empty', ''],
    ['comments alone', '# a\n\n#b\n'],
  ])('refuses a file without a prompt: %s', async (_, content) => {
    const problem = readPromptFile(await fileOf(content));
    await expect(problem).rejects.toThrow(FormatError);
    await expect(problem).rejects.toThrow(/prompts\.txt: holds no prompt; write one a line/);
  });

  it('refuses what is no text of UTF-8', async () => {
    const latin1 = readPromptFile(await fileOf(Buffer.from('a café', 'latin1')));
    await expect(latin1).rejects.toThrow(FormatError);
    await expect(latin1).rejects.toThrow(/is no UTF-8 text; save it as UTF-8/);
  });

  it('refuses a file too large for prompts', async () => {
    const path = await fileOf(Buffer.alloc(64 * 2 ** 20 + 1, 'a'));
    await expect(readPromptFile(path)).rejects.toThrow(/is larger than 67108864 bytes; split the file/);
  });

  it.each([
    ['is missing', 'nowhere.txt'],
    ['is a folder', '.'],
  ])('says so when the file %s', async (_, name) => {
    const problem = readPromptFile(join(folder, name));
    await expect(problem).rejects.toThrow(FileError);
    await expect(problem).rejects.toThrow(/cannot be read \(.*\); name a text file of prompts, one a line/);
  });
});
