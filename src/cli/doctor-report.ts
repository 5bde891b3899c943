import type { Diagnosis, Finding } from '../backend/doctor.ts';

type Line = readonly [finding: Finding, label: string, facts?: string];

/** A line a thing: a mark, what it is, what is known of it; under it what is wrong and what to do. */
export function doctorReport(diagnosis: Diagnosis): string {
  const { works, backend } = diagnosis;
  return [
    ...section('Software', [nodeLine(diagnosis), ...packageLines(diagnosis)]),
    ...section('Backends, in the order in which they are chosen', backendLines(diagnosis)),
    ...section('Machine', machineLines(diagnosis)),
    ...section('Native TensorFlow, once per user', nativeLines(diagnosis)),
    ...section('Checkpoints', checkpointLines(diagnosis)),
    '',
    works ? `Pictures can be made; the default backend is ${backend}.` : 'No backend works: no picture can be made.',
  ].join('\n');
}

function section(title: string, lines: readonly Line[]): string[] {
  return [title, ...lines.flatMap(drawn)];
}

/** ✓ as it should be, ! works but see the fix, ✗ does not work, – not there and not needed. */
function mark({ status, fix }: Finding): string {
  if (status === 'absent') return fix === undefined ? '–' : '!';
  return { ok: '✓', warning: '!', failed: '✗' }[status];
}

function drawn([finding, label, facts]: Line): string[] {
  const { problem, fix } = finding;
  const said = [facts, problem].filter((part) => part !== undefined && part !== '').join('; ');
  const lines = [`  ${mark(finding)} ${label}${said ? `: ${said}` : ''}`];
  if (fix !== undefined) lines.push(`      ${fix}`);
  // A problem of several lines, as a list of faults in a manifest, stays under its mark.
  return lines
    .join('\n')
    .split('\n')
    .map((line, i) => (i === 0 || line.startsWith('      ') ? line : `      ${line}`));
}

function nodeLine({ node }: Diagnosis): Line {
  return [node, 'Node', `${node.version} (supported: ${node.supported})`];
}

function packageLines({ packages }: Diagnosis): Line[] {
  return packages.map((check) => [check, check.name, check.status === 'ok' ? check.expected : '']);
}

function backendLines({ backends, fusedOps }: Diagnosis): Line[] {
  const lines = backends.map((check): Line => {
    const name = `${check.backend} (${check.package}${check.version ? ` ${check.version}` : ''})`;
    const folder = check.status !== 'ok' && check.folder ? `in ${check.folder}` : '';
    return [check, name, check.description ?? folder];
  });
  return [...lines, [fusedOps, 'fused ops on top of tensorflow', fusedFacts(fusedOps)]];
}

function fusedFacts({ instructions, dtypes = [] }: Diagnosis['fusedOps']): string {
  return instructions === undefined ? '' : `${instructions}; weights in ${dtypes.join(' or ')} (--dtype)`;
}

function machineLines({ gpu, processor, memory, disks }: Diagnosis): Line[] {
  const { totalBytes, availableBytes, limitBytes, wasmBytes } = memory;
  const amounts = [
    `${size(totalBytes)}, ${size(availableBytes)} available`,
    ...(limitBytes === undefined ? [] : [`this container may use ${size(limitBytes)}`]),
    `wasm can use ${size(wasmBytes)} of it at most, so DiT-XL and PixArt-XL need tensorflow`,
  ];
  const { model, cores, instructions } = processor;
  return [
    [gpu, 'GPU', gpuFacts(gpu)],
    [processor, 'Processor', [`${model}, ${cores} ${cores === 1 ? 'core' : 'cores'}`, ...instructions].join(' ')],
    [memory, 'Memory', amounts.join('; ')],
    ...disks.map(
      (disk): Line => [disk, `Disk of the ${disk.purpose}`, `${size(disk.freeBytes)} free (${disk.folder})`],
    ),
  ];
}

function gpuFacts({ listed, driver, gpus }: Diagnosis['gpu']): string {
  const names = gpus.map(({ name, memoryBytes }) => `${name}, ${size(memoryBytes)}`);
  return [
    ...names,
    ...(driver === undefined ? [] : [`driver ${driver}`]),
    ...(listed ? ['TensorFlow lists it'] : []),
  ].join('; ');
}

function nativeLines({ setUp, nativeParts }: Diagnosis): Line[] {
  const parts = nativeParts.parts.map((part) => {
    const what =
      part.kind === 'part' ? `TensorFlow ${part.tensorflow} for the ${part.device?.toUpperCase()}` : part.name;
    return `${what}, ${size(part.bytes)}${part.linked ? ', in use here' : ''}`;
  });
  return [
    [nativeParts, nativeParts.folder, parts.join('; ')],
    [setUp, 'setup-native', setUp.possible ? 'finds all that it needs' : ''],
  ];
}

function checkpointLines({ checkpoints }: Diagnosis): Line[] {
  if (checkpoints.length === 0) return [[{ status: 'absent' }, 'none', 'convert one, or give its path with --model']];
  const lines = checkpoints.map((check): Line => {
    const { model, dtypes, bytes, memoryBytes, folder } = check;
    if (bytes === undefined) return [check, check.name, folder];
    const inMemory = memoryBytes === undefined ? [] : [`${size(memoryBytes)} in memory`];
    const facts = [model, dtypes?.join(' and '), `${size(bytes)} on disk`, ...inMemory, folder];
    return [check, check.name, facts.join(', ')];
  });
  return [...lines, [{ status: 'absent' }, 'checksums are not compared here', '`delta-dit verify <name>` does it']];
}

function size(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
