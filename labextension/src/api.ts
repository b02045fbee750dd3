/**
 * The engine's control API as the Jupyter server exposes it: one function per endpoint, values in and out. It keeps
 * nothing; when to ask is the store's business.
 */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { IStatus } from './tokens';

async function request(settings: ServerConnection.ISettings, path: string, init: RequestInit = {}): Promise<unknown> {
  const url = URLExt.join(settings.baseUrl, 'pyserve', 'api', path);
  let response: Response;
  try {
    response = await ServerConnection.makeRequest(url, init, settings);
  } catch (error) {
    throw new ServerConnection.NetworkError(error as TypeError);
  }
  if (!response.ok) {
    throw await responseError(response);
  }
  return (await response.json()) as unknown;
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

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isStatus(value: unknown): value is IStatus {
  return isRecord(value) && isRecord(value.engine) && Array.isArray(value.models);
}

function post(settings: ServerConnection.ISettings, model: string, action: string, body: object): Promise<unknown> {
  const path = URLExt.join('models', encodeURIComponent(model), action);
  return request(settings, path, { method: 'POST', body: JSON.stringify(body) });
}

export async function fetchStatus(settings: ServerConnection.ISettings): Promise<IStatus> {
  const value = await request(settings, 'status');
  if (!isStatus(value)) {
    throw new Error('The server answered with something that is not a status.');
  }
  return value;
}

export async function undeployModel(settings: ServerConnection.ISettings, model: string): Promise<void> {
  await post(settings, model, 'undeploy', { delete: false });
}

export async function restartModel(settings: ServerConnection.ISettings, model: string): Promise<void> {
  await post(settings, model, 'restart', {});
}
