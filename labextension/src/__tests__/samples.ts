import { ServerConnection } from '@jupyterlab/services';

import type { IInstanceStatus, IModelStatus, IStatus } from '../tokens';

export const instance: IInstanceStatus = {
  name: 'adder_0',
  version: '1',
  pid: 4242,
  state: 'READY',
  kind: 'KIND_CPU',
  requests: 7,
  failures: 0,
  restarts: 1,
  busy_since_s: null,
  current_request: null,
  last_error: null,
};

export const adder: IModelStatus = {
  name: 'adder',
  state: 'READY',
  reason: '',
  versions: [{ version: '1', state: 'READY', reason: '' }],
  instances: [instance],
  inputs: [{ name: 'INPUT0', datatype: 'FP32', shape: [-1, 2] }],
  owner: null,
};

export function statusOf(...models: IModelStatus[]): IStatus {
  const engine = { pid: 99, version: '0.1.0', started_at: 0, state: 'READY', repositories: ['/models'] };
  return { engine, models };
}

export interface IFakeServer {
  readonly settings: ServerConnection.ISettings;
  readonly requests: Request[];
  /** What the next requests are answered with. */
  answer: () => Response | Promise<Response>;
}

export function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } });
}

export function fakeServer(body: unknown = statusOf(adder)): IFakeServer {
  const requests: Request[] = [];
  const server: IFakeServer = {
    requests,
    answer: () => json(body),
    settings: ServerConnection.makeSettings({
      baseUrl: 'http://localhost:8888/user/me/',
      fetch: async request => {
        requests.push(request as Request);
        return server.answer();
      },
    }),
  };
  return server;
}
