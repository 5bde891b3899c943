export { FolderWriter } from './folder-writer.ts';
export { describeSources } from './source-files.ts';
