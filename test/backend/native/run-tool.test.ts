import { runTool, tellingLine } from '../../../src/backend/native/run-tool.ts';

const run = (stderr: string, ending = 'exit code 1') =>
  tellingLine({ found: true, ok: false, stdout: '', stderr, ending });

describe('the line that tells why a tool failed', () => {
  it.each([
    [
      'pip',
      'WARNING: Retrying after connection error\nERROR: No matching distribution found\n',
      'ERROR: No matching distribution found',
    ],
    [
      'pip on a full disk',
      'ERROR: Exception:\n  File "x.py"\nOSError: [Errno 28] No space left on device\n',
      'OSError: [Errno 28] No space left on device',
    ],
    [
      'node',
      '/x/index.js:45\n    throw new Error("The addon" +\n    ^\n\nError: The addon is missing\n    at x',
      'Error: The addon is missing',
    ],
    ['npm', 'npm warn deprecated\nnpm error code E404\n', 'npm error code E404'],
    [
      'g++',
      'a.cc: In function f:\na.cc:3:9: fatal error: x.h: No such file\n',
      'a.cc:3:9: fatal error: x.h: No such file',
    ],
    ['a loader', 'starting\nlibx.so: cannot open shared object file\n', 'libx.so: cannot open shared object file'],
    ['a silent tool', '', 'exit code 1'],
  ])('of %s', (_tool, stderr, line) => {
    expect(run(stderr)).toBe(line);
  });
});

describe('running a tool', () => {
  it('gives output, ending and the added environment', async () => {
    const script = 'process.stdout.write(process.env.ADDED); process.stderr.write("b"); process.exit(3)';
    expect(await runTool(process.execPath, ['-e', script], { env: { ADDED: 'a' } })).toEqual({
      found: true,
      ok: false,
      stdout: 'a',
      stderr: 'b',
      ending: 'exit code 3',
    });
  });

  it('tells a missing program from a failing one, and names the signal that ended it', async () => {
    expect(await runTool('no-such-program-of-delta-dit', [])).toMatchObject({ found: false, ok: false });
    const killed = await runTool(process.execPath, ['-e', 'process.kill(process.pid, "SIGKILL")']);
    expect(killed).toMatchObject({ found: true, ok: false, ending: 'signal SIGKILL' });
  });

  it('kills a program that takes longer than it may, even one that ignores being asked to end', async () => {
    const script = 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000)';
    const late = await runTool(process.execPath, ['-e', script], { timeLimit: 500 });
    expect(late).toMatchObject({ found: true, ok: false, ending: 'no answer within 0.5 s' });
  });
});
