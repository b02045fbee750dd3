import { ServerConnection } from '@jupyterlab/services';

import type { IInstanceStatus, IModelStatus, IStatus } from '../status';

export const instance: IInstanceStatus = {
  name: 'adder_0',
  version: '1',
  pid: 4242,
  start_ticks: 7,
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

/** A socket that a test opens, speaks through and closes. */
export class FakeSocket {
  static readonly all: FakeSocket[] = [];

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }

  readonly OPEN = 1;
  readyState = 0;
  readonly sent: string[] = [];
  closed = false;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.closed = true;
  }

  /** What the server does. */
  say(message: unknown): void {
    this.readyState = this.OPEN;
    this.onmessage?.({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }

  hangUp(): void {
    this.onclose?.();
  }
}

export interface IFakeServer {
  readonly settings: ServerConnection.ISettings;
  readonly requests: Request[];
  /** What the next requests are answered with. */
  answer: (request: Request) => Response | Promise<Response>;
}

export function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } });
}

export function fakeServer(body: unknown = statusOf(adder)): IFakeServer {
  const requests: Request[] = [];
  FakeSocket.all.length = 0;
  const server: IFakeServer = {
    requests,
    answer: () => json(body),
    settings: ServerConnection.makeSettings({
      baseUrl: 'http://localhost:8888/user/me/',
      wsUrl: 'ws://localhost:8888/user/me/',
      appendToken: true,
      token: 'secret',
      WebSocket: FakeSocket as unknown as typeof WebSocket,
      fetch: async request => {
        requests.push(request as Request);
        return server.answer(request as Request);
      },
    }),
  };
  return server;
}

/** Without what JupyterLab adds so that no cache answers. */
export function asked({ requests }: IFakeServer): string[][] {
  return requests.map(({ method, url }) => [method, url.replace(/[?&][0-9]+$/, '')]);
}
