import { appendFileSync } from 'node:fs';

/**
 * Notes that a check could not be made on this machine, for want of what it needs. The list is printed when all tests
 * have run (report-unchecked.cjs), so that a green run says what it did not see.
 */
export function unchecked(what: string): void {
  const file = process.env.DELTA_DIT_UNCHECKED_FILE;
  if (!file) throw new Error('DELTA_DIT_UNCHECKED_FILE is set by jest.config.ts; run the tests with jest');
  appendFileSync(file, `${what}\n`);
}
