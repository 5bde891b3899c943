// What a page would import, for the tests to call.
import * as library from 'delta-dit';

globalThis.deltaDit = library;
