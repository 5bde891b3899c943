import { Command } from 'commander';
import { inspectCheckpoint } from '../../index.ts';
import { findModel } from '../find-model.ts';

export function inspectCommand(): Command {
  return new Command('inspect')
    .description('list the tensors of a checkpoint and say which model it is')
    .argument(
      '<path>',
      'weights file, converted folder, diffusers folder, owner/name on the hub, or the name of a shipped checkpoint',
    )
    .option('--key <name>', 'where a torch file keeps its weights')
    .action(async (path: string, { key }: { key?: string }) => {
      for (const { name, description, parameters, tree, labels } of await inspectCheckpoint(
        await findModel(path),
        key,
      )) {
        console.log(`${name}: ${description}, ${(parameters / 1e6).toFixed(2)} M parameters`);
        console.log(tree.replace(/^/gm, '  '));
        if (labels.length > 0) console.log(`  classes: ${labels.map((label, i) => `${i} ${label}`).join(' · ')}`);
      }
    });
}
