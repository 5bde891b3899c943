import { FormatError } from '../../src/errors.ts';
import { MAX_PICKLE_BYTES, PickleMachine, type PickleOptions } from './pickle-machine.ts';
import { OPCODES, REFUSED_OPCODES } from './pickle-opcodes.ts';

const PROTO = 0x80;
const STOP = 0x2e;
/** torch's default is 2; 3 to 5 can be asked for. 0 and 1 are text and older than torch. */
const PROTOCOLS = { lowest: 2, highest: 5 };

/**
 * Reads one pickle without executing anything: it is a list of stack operations, of which those that would call Python
 * reach only `options.globals`. What comes out is described in pickle-values.ts.
 * @throws FormatError naming the byte, when the pickle is damaged, asks for anything else, goes beyond the limits, or
 * is followed by more bytes.
 */
export function unpickle(bytes: Uint8Array, options: PickleOptions): unknown {
  const { value, end } = readPickle(bytes, options);
  if (end !== bytes.length) {
    throw new FormatError(
      `${options.where}: ${bytes.length - end} bytes follow the end of the pickle at byte ${end}; something may be hidden there, do not use this file`,
    );
  }
  return value;
}

/** Reads the pickle that begins at `start`, and tells where it ends: older torch files hold several in a row. */
export function readPickle(bytes: Uint8Array, options: PickleOptions, start = 0): { value: unknown; end: number } {
  if (bytes.length > MAX_PICKLE_BYTES) {
    throw new FormatError(
      `${options.where}: expected a pickle of at most ${MAX_PICKLE_BYTES} bytes, got ${bytes.length}`,
    );
  }
  const machine = new PickleMachine(bytes, options, start);
  readProtocol(machine);
  for (let code = machine.opcode(); code !== STOP; code = machine.opcode()) {
    const opcode = OPCODES.get(code);
    if (!opcode) return refuseOpcode(machine, code);
    opcode.run(machine);
  }
  return { value: machine.result(), end: machine.position };
}

function readProtocol(machine: PickleMachine): void {
  const { lowest, highest } = PROTOCOLS;
  if (machine.opcode() !== PROTO)
    machine.refuse(`no pickle of protocol ${lowest} to ${highest} begins; get the file again`);
  const protocol = machine.u8();
  if (protocol < lowest || protocol > highest) {
    machine.refuse(`expected pickle protocol ${lowest} to ${highest}, got ${protocol}; save with pickle_protocol=2`);
  }
}

function refuseOpcode(machine: PickleMachine, code: number): never {
  const name = REFUSED_OPCODES.get(code);
  if (name) machine.refuse(`the opcode ${name}, which no torch checkpoint needs; do not use this file`);
  return machine.damaged(`there is no opcode 0x${code.toString(16).padStart(2, '0')}`);
}
