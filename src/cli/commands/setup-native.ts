import { Command } from 'commander';
import type { FusedOpsOutcome } from '../../backend/native/setup-fused-ops.ts';
import { type SetupOutcome, type SetupProgress, setupNative } from '../../backend/native/setup-native.ts';

/** `delta-dit setup-native [--gpu] [--if-possible]` */
export function setupNativeCommand(): Command {
  return new Command('setup-native')
    .description('set up native TensorFlow (Linux; needs pip and g++)')
    .option('--gpu', 'TensorFlow with CUDA, for NVIDIA GPUs (x64; downloads 3.3 GB, needs 9 GB of disk)')
    .option('--if-possible', 'where it cannot be done, say so in one line and succeed')
    .action(async ({ gpu = false, ifPossible = false }: { gpu?: boolean; ifPossible?: boolean }) => {
      const stop = new AbortController();
      const onInterrupt = () => stop.abort();
      process.once('SIGINT', onInterrupt);
      const progress = progressPrinter(process.stderr);
      try {
        const outcome = await setupNative({ gpu, ifPossible, onProgress: progress.show, signal: stop.signal });
        progress.end();
        process.stdout.write(`${outcomeSentence(outcome)}\n`);
        if (outcome.status === 'ready') process.stdout.write(`${fusedSentence(outcome.fusedOps)}\n`);
        if (gpu && outcome.status === 'ready' && !outcome.gpu) process.stderr.write(`${NO_GPU}\n`);
      } finally {
        progress.end();
        process.removeListener('SIGINT', onInterrupt);
      }
    });
}

const NO_GPU = 'TensorFlow lists no GPU here, so it runs on the CPU; `delta-dit doctor` says why.';

function outcomeSentence(outcome: SetupOutcome): string {
  if (outcome.status === 'skipped') return `Native TensorFlow is not set up: ${outcome.reason}`;
  const device = outcome.gpu ? 'GPU' : 'CPU';
  const deed = {
    found: 'works already and is left as it is',
    linked: "now uses the native part from this user's cache",
    built: 'has a newly built native part',
  }[outcome.how];
  return `${outcome.package} ${deed}: TensorFlow ${outcome.tensorflow}, ${device} (${outcome.folder}).`;
}

function fusedSentence(fusedOps: FusedOpsOutcome): string {
  if (fusedOps.how === 'missing') return `It goes without the fused ops of delta-dit: ${fusedOps.reason}.`;
  const deed = fusedOps.how === 'built' ? 'have been compiled for it' : 'are there, too';
  return `The fused ops of delta-dit ${deed} (${fusedOps.instructions}).`;
}

const QUIET_SECONDS = 10;

/** One line that is rewritten on a terminal; elsewhere a line per step and one every ten seconds. */
function progressPrinter(stream: NodeJS.WriteStream): { show(progress: SetupProgress): void; end(): void } {
  let message = '';
  let printed = Number.NEGATIVE_INFINITY;
  let open = false;
  const end = () => {
    if (open) stream.write('\n');
    open = false;
  };
  const show = (progress: SetupProgress) => {
    const isNewStep = progress.message !== message;
    if (isNewStep) end();
    const now = performance.now();
    const isDue = isNewStep || stream.isTTY || now - printed > QUIET_SECONDS * 1000;
    if (!isDue) return;
    message = progress.message;
    printed = now;
    stream.write(stream.isTTY ? `\r\x1b[K${progressLine(progress)}` : `${progressLine(progress)}\n`);
    open = stream.isTTY;
  };
  return { show, end };
}

function progressLine({ message, doneBytes, totalBytes, secondsLeft }: SetupProgress): string {
  const size = totalBytes === undefined ? '' : ` ${megabytes(doneBytes ?? 0)} of ${megabytes(totalBytes)} MB`;
  const left = secondsLeft === undefined ? '' : `, ${Math.ceil(secondsLeft)} s left`;
  return `setup-native: ${message}${size}${left}`;
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}
