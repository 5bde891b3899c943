import { type Finding, OK } from './finding.ts';

/** `engines.node` of package.json. */
export const SUPPORTED_NODE = '>=20.15';

export interface NodeCheck extends Finding {
  /** "20.20.2" */
  readonly version: string;
  /** What is supported, ">=20.15"; Node 20, 22 and 24 are tested. */
  readonly supported: string;
}

export function checkNode(version: string = process.versions.node): NodeCheck {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [oldestMajor = 0, oldestMinor = 0] = SUPPORTED_NODE.replace('>=', '').split('.').map(Number);
  const isSupported = major > oldestMajor || (major === oldestMajor && minor >= oldestMinor);
  const finding: Finding = isSupported
    ? OK
    : { status: 'failed', problem: `delta-dit needs Node ${SUPPORTED_NODE}`, fix: 'Install Node 22 or 24.' };
  return { version, supported: SUPPORTED_NODE, ...finding };
}
