const { existsSync, readFileSync, rmSync } = require('node:fs');

/** A jest reporter that lists what test/unchecked.ts noted. Not TypeScript: jest loads reporters untransformed. */
module.exports = class ReportUnchecked {
  onRunStart() {
    rmSync(process.env.DELTA_DIT_UNCHECKED_FILE, { force: true });
  }

  onRunComplete() {
    const file = process.env.DELTA_DIT_UNCHECKED_FILE;
    if (!existsSync(file)) return;
    const lines = new Set(readFileSync(file, 'utf8').trim().split('\n'));
    rmSync(file);
    process.stderr.write(
      `\nCould not be checked on this machine:\n${[...lines].map((line) => `- ${line}\n`).join('')}`,
    );
  }
};
