const { existsSync, readFileSync, rmSync } = require('node:fs');

/**
 * A jest reporter that closes with what this machine could not check (test/unchecked.ts, and the option `absent`) and
 * with a plain count. Not TypeScript: jest loads reporters untransformed.
 */
module.exports = class ReportUnchecked {
  constructor(_jest, { absent = [] } = {}) {
    this.absent = absent;
  }

  onRunStart() {
    rmSync(process.env.DELTA_DIT_UNCHECKED_FILE, { force: true });
  }

  onRunComplete(_contexts, { numPassedTests, numFailedTests, numFailedTestSuites }) {
    const file = process.env.DELTA_DIT_UNCHECKED_FILE;
    const noted = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    rmSync(file, { force: true });
    const lines = new Set([...this.absent, ...noted]);
    if (lines.size > 0) {
      process.stderr.write(
        `\nCould not be checked on this machine:\n${[...lines].map((line) => `- ${line}\n`).join('')}`,
      );
    }
    process.stdout.write(
      `\n${numPassedTests} passed, ${numFailedTests + (numFailedTests ? 0 : numFailedTestSuites)} failed\n`,
    );
  }
};
