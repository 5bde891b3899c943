export { FolderWriter } from './folder-writer.ts';
export { describeSources, sizeOfSources } from './source-files.ts';
