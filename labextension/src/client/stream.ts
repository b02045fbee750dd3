/**
 * The socket over which the engine pushes what changed. Says what came, and that it ended; whether to try again is
 * the store's business.
 */

import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';

import { type Message, parseMessage } from '../state/delta';

export interface IEventHandlers {
  readonly onMessage: (message: Message) => void;
  /** Once, whether the socket was open before or was refused; not after `dispose`. */
  readonly onClose: () => void;
}

export class EventSocket implements IDisposable {
  constructor(settings: ServerConnection.ISettings, interval_s: number, handlers: IEventHandlers) {
    this._handlers = handlers;
    this._socket = new settings.WebSocket(eventsUrl(settings, interval_s));
    this._socket.onmessage = event => {
      const message = typeof event.data === 'string' ? parseMessage(event.data) : null;
      if (message !== null) {
        this._handlers?.onMessage(message);
      }
    };
    this._socket.onclose = () => {
      const handlers = this._handlers;
      this.dispose();
      handlers?.onClose();
    };
  }

  get isDisposed(): boolean {
    return this._handlers === null;
  }

  /** Asks for another pace; has no effect on a socket that is not open yet. */
  setInterval(interval_s: number): void {
    if (this._socket.readyState === this._socket.OPEN) {
      this._socket.send(JSON.stringify({ interval_s }));
    }
  }

  dispose(): void {
    if (this._handlers !== null) {
      this._handlers = null;
      this._socket.onmessage = null;
      this._socket.onclose = null;
      this._socket.close();
    }
  }

  private _handlers: IEventHandlers | null;
  private readonly _socket: WebSocket;
}

function eventsUrl(settings: ServerConnection.ISettings, interval_s: number): string {
  const url = URLExt.join(settings.wsUrl, 'pyserve/api/events');
  const parameters = new URLSearchParams({ interval_s: String(interval_s) });
  // A browser cannot put a header on a socket; cookies do where the page has them.
  if (settings.appendToken && settings.token !== '') {
    parameters.set('token', settings.token);
  }
  return `${url}?${parameters}`;
}
