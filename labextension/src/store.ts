/**
 * Keeps the last known status and asks for a newer one while it is started. Knows no DOM: anything may listen.
 */

import { ServerConnection } from '@jupyterlab/services';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import { fetchStatus, restartModel, undeployModel } from './api';
import type { ISnapshot, IStatusStore } from './tokens';

const INTERVAL_MS = 1000;
const MAX_INTERVAL_MS = 30_000;

export interface IStatusStoreOptions {
  readonly serverSettings: ServerConnection.ISettings;
  readonly intervalMs?: number;
  readonly standby?: Poll.Standby;
}

export class StatusStore implements IStatusStore {
  constructor(options: IStatusStoreOptions) {
    this._settings = options.serverSettings;
    this._poll = new Poll<void>({
      auto: false,
      name: 'jupyter-pyserve:status',
      // A failed attempt rejects, and a rejection makes the next one wait longer.
      frequency: { interval: options.intervalMs ?? INTERVAL_MS, backoff: true, max: MAX_INTERVAL_MS },
      standby: options.standby ?? 'when-hidden',
      factory: () => this._ask(),
    });
  }

  get changed(): ISignal<IStatusStore, ISnapshot> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  get snapshot(): ISnapshot {
    return this._snapshot;
  }

  dispose(): void {
    this._poll.dispose();
    Signal.clearData(this);
  }

  start(): void {
    void this._poll.start();
  }

  stop(): void {
    void this._poll.stop();
  }

  /** Asks now. Never rejects: a failure is part of the snapshot. */
  async refresh(): Promise<void> {
    const { phase } = this._poll.state;
    if (phase === 'constructed' || phase === 'stopped') {
      await this._ask().catch(() => undefined); // once; refreshing the poll would start it
    } else {
      await this._poll.refresh();
      await this._poll.tick.catch(() => undefined);
    }
  }

  async unload(model: string): Promise<void> {
    await undeployModel(this._settings, model);
    await this.refresh();
  }

  async restart(model: string): Promise<void> {
    await restartModel(this._settings, model);
    await this.refresh();
  }

  private async _ask(): Promise<void> {
    try {
      this._publish({ status: await fetchStatus(this._settings), problem: null });
    } catch (error) {
      // What was true a moment ago stays visible, marked as old by the problem.
      this._publish({ status: this._snapshot.status, problem: describe(error) });
      throw error;
    }
  }

  private _publish(snapshot: ISnapshot): void {
    if (!this.isDisposed) {
      this._snapshot = snapshot;
      this._changed.emit(snapshot);
    }
  }

  private readonly _changed = new Signal<this, ISnapshot>(this);
  private readonly _poll: Poll<void>;
  private readonly _settings: ServerConnection.ISettings;
  private _snapshot: ISnapshot = { status: null, problem: null };
}

function describe(error: unknown): string {
  if (error instanceof ServerConnection.NetworkError) {
    return 'The Jupyter server does not answer.';
  }
  if (error instanceof ServerConnection.ResponseError && error.response.status === 404) {
    return 'The server extension jupyter_pyserve is not enabled on this server.';
  }
  return error instanceof Error ? error.message : String(error);
}
