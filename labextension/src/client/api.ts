/**
 * The engine's control API as the Jupyter server exposes it: one function per endpoint, values in and out. It keeps
 * nothing; when to ask is the store's business.
 */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import { isRecord, isStatus, type IStatus } from '../status';

export type Settings = ServerConnection.ISettings;

/** A request to anything below `pyserve/`; an error status is an exception with the server's words. */
export async function send(settings: Settings, path: string, init: RequestInit = {}): Promise<Response> {
  const url = URLExt.join(settings.baseUrl, 'pyserve') + '/' + path;
  let response: Response;
  try {
    response = await ServerConnection.makeRequest(url, init, settings);
  } catch (error) {
    if (init.signal?.aborted === true) {
      throw error;
    }
    throw new ServerConnection.NetworkError(error as TypeError);
  }
  if (!response.ok) {
    throw await responseError(response);
  }
  return response;
}

/** The engine says `error`, the Jupyter server in front of it `message`. */
async function responseError(response: Response): Promise<Error> {
  const body: unknown = await response
    .clone()
    .json()
    .catch(() => null);
  if (isRecord(body) && typeof body.error === 'string') {
    return new ServerConnection.ResponseError(response, body.error);
  }
  return ServerConnection.ResponseError.create(response);
}

/** What to tell a person who asked for something and got an exception. */
export function describe(error: unknown): string {
  if (error instanceof ServerConnection.NetworkError) {
    return 'The Jupyter server does not answer.';
  }
  return error instanceof Error ? error.message : String(error);
}

async function ask(settings: Settings, path: string, init: RequestInit = {}): Promise<unknown> {
  const response = await send(settings, path, init);
  return (await response.json()) as unknown;
}

function post(settings: Settings, path: string, body: object): Promise<unknown> {
  return ask(settings, path, { method: 'POST', body: JSON.stringify(body) });
}

function modelPath(model: string, ...rest: readonly string[]): string {
  return ['api/models', ...[model, ...rest].map(encodeURIComponent)].join('/');
}

export function fetchStatus(settings: Settings): Promise<IStatus> {
  return askStatus(settings, 'sample=1');
}

/** The same of an engine that runs; starts none. */
export function peekStatus(settings: Settings): Promise<IStatus> {
  return askStatus(settings, 'if_running=1');
}

async function askStatus(settings: Settings, query: string): Promise<IStatus> {
  const value = await ask(settings, `api/status?${query}`);
  if (!isStatus(value)) {
    throw new Error('The server answered with something that is not a status.');
  }
  return value;
}

export type ModelAction = 'undeploy' | 'restart' | 'scale' | 'rollback' | 'drain' | 'resume';

export async function actOnModel(
  settings: Settings,
  model: string,
  action: ModelAction,
  body: object = {},
): Promise<void> {
  await post(settings, modelPath(model, action), body);
}

export type InstanceAction = 'restart' | 'drain' | 'resume' | 'kill' | 'undebug';

export async function actOnInstance(
  settings: Settings,
  model: string,
  instance: string,
  action: InstanceAction,
): Promise<void> {
  await post(settings, modelPath(model, 'instances', instance, action), {});
}

/** Lets a debugger attach to a process; where it listens. */
export async function startDebugging(settings: Settings, model: string, instance: string): Promise<string> {
  const value = await post(settings, modelPath(model, 'instances', instance, 'debug'), { port: 0 });
  if (!isRecord(value) || typeof value.host !== 'string' || typeof value.port !== 'number') {
    throw new Error('The server answered with something that is not an address.');
  }
  return `${value.host}:${value.port}`;
}

export interface IStack {
  readonly text: string;
  readonly request: string;
  readonly since_s: number | null;
}

export async function fetchStack(settings: Settings, model: string, instance: string): Promise<IStack> {
  const value = await post(settings, modelPath(model, 'instances', instance, 'stack'), {});
  if (!isRecord(value) || typeof value.stack !== 'string') {
    throw new Error('The server answered with something that is not a stack.');
  }
  return {
    text: value.stack,
    request: typeof value.request === 'string' ? value.request : '',
    since_s: typeof value.since_s === 'number' ? value.since_s : null,
  };
}

export async function loadModel(settings: Settings, model: string): Promise<void> {
  await send(settings, `v2/repository/models/${encodeURIComponent(model)}/load`, { method: 'POST', body: '{}' });
}

/** The models of the repository that could be loaded. */
export async function fetchLoadable(settings: Settings): Promise<readonly string[]> {
  const value = await post(settings, 'v2/repository/index', {});
  if (!Array.isArray(value)) {
    throw new Error('The server answered with something that is not an index.');
  }
  const rows = value.filter(isRecord);
  const ready = new Set(rows.filter(row => row.state === 'READY').map(row => row.name));
  const names = rows.map(row => row.name).filter((name): name is string => typeof name === 'string');
  return [...new Set(names)].filter(name => !ready.has(name)).sort();
}

export interface ILogRecord {
  readonly seq?: number;
  readonly time: number;
  readonly instance: string;
  readonly version: string;
  readonly stream: string;
  readonly level: string;
  readonly text: string;
  readonly request?: string;
}

export interface ILogPage {
  readonly records: readonly ILogRecord[];
  /** Where to go on; null when the server can only be asked for the last lines. */
  readonly next: number | null;
}

export interface ILogQuery {
  readonly instance: string;
  readonly level: string;
  readonly search: string;
  readonly request: string;
}

export async function fetchLogs(
  settings: Settings,
  model: string,
  query: ILogQuery,
  tail: number,
  after: number | null,
): Promise<ILogPage> {
  const parameters = new URLSearchParams({ tail: String(tail) });
  for (const [name, value] of Object.entries(query)) {
    if (value !== '') {
      parameters.set(name, value as string);
    }
  }
  if (after !== null) {
    parameters.set('after', String(after));
  }
  const value = await ask(settings, `${modelPath(model, 'logs')}?${parameters}`);
  if (!isRecord(value) || !Array.isArray(value.records)) {
    throw new Error('The server answered with something that is not a log.');
  }
  return { records: value.records as ILogRecord[], next: typeof value.next === 'number' ? value.next : null };
}
