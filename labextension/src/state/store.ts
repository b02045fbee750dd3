/**
 * Keeps the last known status and a short history of it. While it is started it listens to the engine's events, and
 * asks again and again where there is no event socket; stopped, it does nothing. Knows no DOM: anything may listen.
 */

import { ServerConnection } from '@jupyterlab/services';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import { describe, fetchStatus, peekStatus } from '../client/api';
import { EventSocket } from '../client/stream';
import type { IStatus } from '../status';
import type { ISnapshot, IStatusStore } from '../tokens';
import { applyMessage, type Message } from './delta';
import { History } from './history';

const MAX_INTERVAL_MS = 30_000;

/** The engine says something at least every 15 s; a socket that is silent for longer leads nowhere. */
const MAX_SILENCE_S = 40;

/** How long a socket that was refused is left alone: doubled each time, up to this. */
const MAX_SOCKET_DELAY_MS = 300_000;

export interface IStatusStoreOptions {
  readonly serverSettings: ServerConnection.ISettings;
  readonly intervalMs?: number;
}

export class StatusStore implements IStatusStore {
  constructor(options: IStatusStoreOptions) {
    this._settings = options.serverSettings;
    this._intervalMs = options.intervalMs ?? 1000;
    this._poll = new Poll<void>({
      auto: false,
      name: 'jupyter-pyserve:status',
      // A failed attempt rejects, and a rejection makes the next one wait longer.
      frequency: { interval: this._intervalMs, backoff: true, max: MAX_INTERVAL_MS },
      standby: 'never', // whoever starts it knows whether somebody looks
      factory: () => this._ask(),
    });
  }

  readonly history = new History();

  get changed(): ISignal<IStatusStore, ISnapshot> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  get snapshot(): ISnapshot {
    return this._snapshot;
  }

  get intervalMs(): number {
    return this._intervalMs;
  }

  set intervalMs(value: number) {
    this._intervalMs = value;
    this._poll.frequency = { ...this._poll.frequency, interval: value };
    this._socket?.setInterval(value / 1000);
    if (this._ticker !== null) {
      this._stopTicking();
      this._startTicking();
    }
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.stop();
      this._poll.dispose();
      Signal.clearData(this);
    }
  }

  start(): void {
    if (!this._started && !this.isDisposed) {
      this._started = true;
      this._socketDelayMs = this._intervalMs;
      this._listen();
      this._startTicking();
    }
  }

  stop(): void {
    this._started = false;
    this._live = false;
    this._socket?.dispose();
    this._socket = null;
    clearTimeout(this._retry);
    this._stopTicking();
    void this._poll.stop();
  }

  /** Asks now. Never rejects: a failure is part of the snapshot. */
  async refresh(): Promise<void> {
    if (this._live) {
      // The next snapshot of a new socket has everything, and leaves the sequence of changes whole.
      const came = new Promise<void>(resolve => {
        this._waiting.push(resolve);
      });
      this._listen();
      return came;
    }
    if (this._started && this._socket === null) {
      this._socketDelayMs = this._intervalMs;
      this._listen();
    }
    await this._ask().catch(() => undefined);
  }

  /** Looks at what runs, for who lists it; an engine is not started for that, and none is no problem. */
  async peek(): Promise<void> {
    if (!this._started) {
      this._takePeek(await peekStatus(this._settings).catch(() => null));
    }
  }

  private _takePeek(status: IStatus | null): void {
    if (!this._started) {
      this._publish({ status, problem: null });
    }
  }

  private _listen(): void {
    clearTimeout(this._retry);
    this._socket?.dispose();
    this._heard_s = Date.now() / 1000;
    this._socket = new EventSocket(this._settings, this._intervalMs / 1000, {
      onMessage: message => {
        this._onMessage(message);
      },
      onClose: () => {
        this._onClose();
      },
    });
  }

  private _onMessage(message: Message): void {
    this._heard_s = Date.now() / 1000;
    const status = applyMessage(this._live || message.type === 'snapshot' ? this._snapshot.status : null, message);
    if (status === null) {
      return; // a change of something that was never told
    }
    if (message.type === 'snapshot') {
      this._live = true;
      this._socketDelayMs = this._intervalMs;
      void this._poll.stop();
      this._settle();
    }
    if (message.type !== 'ping' || this._snapshot.problem !== null) {
      this._publish({ status, problem: null });
    }
  }

  /** Asking meanwhile brings what there is to know, the reason included. */
  private _onClose(): void {
    this._live = false;
    this._socket = null;
    this._settle();
    if (this._started) {
      this._retry = setTimeout(() => {
        this._listen();
      }, this._socketDelayMs);
      this._socketDelayMs = Math.min(2 * this._socketDelayMs, MAX_SOCKET_DELAY_MS);
      const { phase } = this._poll.state;
      if (phase === 'constructed' || phase === 'stopped') {
        void this._poll.start();
      }
    }
  }

  private async _ask(): Promise<void> {
    try {
      const status = await fetchStatus(this._settings);
      if (!this._live) {
        this._publish({ status, problem: null });
      }
    } catch (error) {
      // What was true a moment ago stays visible, marked as old by the problem.
      if (!this._live) {
        this._publish({ status: this._snapshot.status, problem: reason(error) });
      }
      throw error;
    }
  }

  private _publish(snapshot: ISnapshot): void {
    if (!this.isDisposed) {
      this._snapshot = snapshot;
      if (snapshot.status !== null && snapshot.problem === null) {
        this._record(snapshot.status);
      }
      this._changed.emit(snapshot);
    }
  }

  private _record(status: IStatus): void {
    const now_s = Date.now() / 1000;
    // Two messages at once would make a rate out of nothing.
    if (now_s - this._recorded_s > this._intervalMs / 2000) {
      this._recorded_s = now_s;
      this.history.record(status, now_s);
    }
  }

  /** A model at rest sends nothing, and that is a point of its plot too. */
  private _startTicking(): void {
    this._ticker = setInterval(() => {
      const now_s = Date.now() / 1000;
      if (this._live && now_s - this._heard_s > MAX_SILENCE_S) {
        this._listen();
      } else if (this._live && now_s - this._recorded_s > (1.5 * this._intervalMs) / 1000) {
        this._publish(this._snapshot);
      }
    }, this._intervalMs);
  }

  private _stopTicking(): void {
    if (this._ticker !== null) {
      clearInterval(this._ticker);
      this._ticker = null;
    }
  }

  private _settle(): void {
    for (const resolve of this._waiting.splice(0)) {
      resolve();
    }
  }

  private readonly _changed = new Signal<this, ISnapshot>(this);
  private readonly _poll: Poll<void>;
  private readonly _settings: ServerConnection.ISettings;
  private readonly _waiting: (() => void)[] = [];
  private _heard_s = 0;
  private _intervalMs: number;
  private _live = false;
  private _recorded_s = 0;
  private _retry: ReturnType<typeof setTimeout> | undefined;
  private _snapshot: ISnapshot = { status: null, problem: null };
  private _socket: EventSocket | null = null;
  private _socketDelayMs = 0;
  private _started = false;
  private _ticker: ReturnType<typeof setInterval> | null = null;
}

function reason(error: unknown): string {
  if (error instanceof ServerConnection.ResponseError && error.response.status === 404) {
    return 'The server extension jupyter_pyserve is not enabled on this server.';
  }
  return describe(error);
}
