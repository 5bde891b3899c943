import type { CheckpointLocation } from '../checkpoint/location.ts';
import { OptionError } from '../errors.ts';
import { fromUrl } from './checkpoint-location.ts';
import type { DownloadOptions } from './checkpoint-path.ts';
import { fromServer } from './from-server.ts';
import { HubClient } from './hub-client.ts';
import { isHubReference, parseReference } from './reference.ts';
import type { RemoteModel } from './remote-model.ts';

const ENDPOINT = 'https://huggingface.co';

/** A relative URL of a converted folder, or a model of the hub. @throws OptionError for what is neither */
export async function findNamed(name: string, options: DownloadOptions): Promise<CheckpointLocation> {
  if (/^\.{0,2}\//.test(name)) return fromUrl(new URL(name, pageUrl(name)).href, options);
  if (!isHubReference(name))
    throw new OptionError(
      `${name}: expected a URL of a converted folder, also one that begins with / or ./, or owner/name of a model on the hub`,
    );
  const reference = parseReference(name, options.revision);
  const { endpoint = ENDPOINT, token } = options;
  const connect = (signal: AbortSignal) =>
    remoteModel(new HubClient(reference, { endpoint: endpoint.replace(/\/+$/, ''), token, signal }));
  return fromServer(connect, reference.path, options);
}

function remoteModel(client: HubClient): RemoteModel {
  let commit = '';
  return {
    where: client.where,
    show: (path) => client.show(path),
    listing: async () => {
      commit = await client.commit();
      const files = await client.files(commit);
      return { files: new Map(files.map((file) => [file.path, file])), texts: new Map() };
    },
    fetchFile: (file, sink) => client.fetchFile(commit, file, sink),
  };
}

/** What relative URLs go out from. @throws OptionError in a worker that was made of a blob */
function pageUrl(name: string): string {
  const url = globalThis.document?.baseURI ?? globalThis.location.href;
  if (/^https?:/.test(url)) return url;
  throw new OptionError(`${name}: nothing says what it is relative to here (${url}); give the whole URL`);
}
