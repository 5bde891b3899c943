import { join } from 'node:path';
import { Command } from 'commander';
import { diagnose } from '../../backend/doctor.ts';
import { doctorReport } from '../doctor-report.ts';
import { packageFolder } from '../package-folder.ts';

/** `delta-dit doctor [--json]` */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description('say what works here, what is missing, and how to mend it; fails where no backend works')
    .option('--json', 'print everything that was found, for programs')
    .action(async ({ json = false }: { json?: boolean }) => {
      const diagnosis = await diagnose({
        checkpointFolders: ['checkpoints', join(packageFolder(), 'checkpoints')],
      });
      console.log(json ? JSON.stringify(diagnosis, null, 2) : doctorReport(diagnosis));
      if (!diagnosis.works) process.exitCode = 1;
    });
}
