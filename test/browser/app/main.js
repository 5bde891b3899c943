// What a page would import, for the tests to call.
import * as deltaDit from 'delta-dit';

globalThis.deltaDit = deltaDit;
globalThis.wasmPaths = '/wasm/';
globalThis.base64 = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''));
