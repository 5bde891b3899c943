import { setFlagsFromString } from 'node:v8';
import { Command, CommanderError } from 'commander';
import { AbortError, DeltaDiTError } from '../errors.ts';
import { analyseCommand } from './commands/analyse.ts';
import { benchCommand } from './commands/bench.ts';
import { calibrateCommand } from './commands/calibrate.ts';
import { convertCommand } from './commands/convert.ts';
import { demoCommand } from './commands/demo.ts';
import { doctorCommand } from './commands/doctor.ts';
import { downloadCommand } from './commands/download.ts';
import { generateCommand } from './commands/generate.ts';
import { inspectCommand } from './commands/inspect.ts';
import { labCommand } from './commands/lab.ts';
import { metricsCommand } from './commands/metrics.ts';
import { setupNativeCommand } from './commands/setup-native.ts';
import { tuneCommand } from './commands/tune.ts';
import { vaeCommand } from './commands/vae.ts';
import { verifyCommand } from './commands/verify.ts';
import { packageVersion } from './package-folder.ts';

/** 128 + SIGINT, as shells expect of a program that was interrupted. */
const INTERRUPTED = 130;

/**
 * How much V8's old objects may grow, in per cent, before it collects them, which takes some 5 ms. By its own rule they double
 * over a hundred pictures, and the process seems to leak.
 */
const HEAP_GROWING_PERCENT = 30;

/** Runs the program; sets the exit code instead of ending the process. */
export async function main(argv: readonly string[]): Promise<void> {
  setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`);
  const program = new Command('delta-dit')
    .description('Diffusion transformers in TensorFlow.js with training-free caching')
    .version(packageVersion())
    .showHelpAfterError('(--help lists the options)');
  const commands = [
    generateCommand,
    convertCommand,
    inspectCommand,
    verifyCommand,
    downloadCommand,
    doctorCommand,
    setupNativeCommand,
    demoCommand,
    analyseCommand,
    calibrateCommand,
    benchCommand,
    metricsCommand,
    labCommand,
    tuneCommand,
    vaeCommand,
  ];
  for (const command of commands) program.addCommand(command());
  for (const command of [program, ...program.commands]) command.exitOverride();
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode; // commander has printed it
  if (error instanceof AbortError) {
    console.error(error.message);
    return INTERRUPTED;
  }
  if (error instanceof DeltaDiTError) console.error(`error: ${error.message}`);
  else console.error('error: this is a bug of delta-dit, please report it:', error);
  return 1;
}
