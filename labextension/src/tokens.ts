/**
 * What other modules, and other extensions, may refer to: identifiers, the shape of the engine's status, and the
 * token of the store that keeps it. No behaviour.
 */

import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

export const PLUGIN_ID = 'jupyter-pyserve:plugin';

export const PANEL_ID = 'jupyter-pyserve-panel';

// None of them takes arguments: notebook output could otherwise smuggle in a click that changes what is served.
export const CommandIDs = {
  showPanel: 'pyserve:show-panel',
  refresh: 'pyserve:refresh',
} as const;

export interface ITensorMetadata {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

export interface IVersionStatus {
  readonly version: string;
  readonly state: string;
  readonly reason: string;
}

export interface IInstanceStatus {
  readonly name: string;
  readonly version: string;
  readonly pid: number | null;
  readonly state: string;
  readonly kind: string;
  readonly requests: number;
  readonly failures: number;
  readonly restarts: number;
  readonly busy_since_s: number | null;
  readonly current_request: string | null;
  readonly last_error: string | null;
}

export interface IModelStatus {
  readonly name: string;
  readonly state: string;
  readonly reason: string;
  readonly versions: readonly IVersionStatus[];
  readonly instances: readonly IInstanceStatus[];
  readonly inputs: readonly ITensorMetadata[];
  readonly owner: string | null;
}

export interface IEngineStatus {
  readonly pid: number;
  readonly version: string;
  readonly started_at: number;
  readonly state: string;
  readonly repositories: readonly string[];
}

export interface IStatus {
  readonly engine: IEngineStatus;
  readonly models: readonly IModelStatus[];
}

/** What is known right now: the last answer, and why there is no newer one. */
export interface ISnapshot {
  readonly status: IStatus | null;
  readonly problem: string | null;
}

/** The engine's status, kept up to date while somebody looks at it. */
export interface IStatusStore extends IDisposable {
  readonly snapshot: ISnapshot;
  readonly changed: ISignal<IStatusStore, ISnapshot>;
  start(): void;
  stop(): void;
  refresh(): Promise<void>;
  unload(model: string): Promise<void>;
  restart(model: string): Promise<void>;
}

export const IStatusStore = new Token<IStatusStore>(
  'jupyter-pyserve:IStatusStore',
  'The models that jupyter_pyserve serves, and the processes behind them.',
);
