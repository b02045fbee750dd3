/**
 * What other modules, and other extensions, may refer to: identifiers and the token of the store. No behaviour.
 */

import { Token } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';

import type { IHistory } from './state/history';
import type { IStatus } from './status';

export const PLUGIN_ID = 'jupyter-pyserve:plugin';

export const PANEL_ID = 'jupyter-pyserve-panel';

// None of them takes arguments: notebook output could otherwise smuggle in a click that changes what is served.
export const CommandIDs = {
  showPanel: 'pyserve:show-panel',
  refresh: 'pyserve:refresh',
  load: 'pyserve:load-model',
  unload: 'pyserve:unload-selected',
  restart: 'pyserve:restart-selected',
  scale: 'pyserve:scale-selected',
  insertCode: 'pyserve:insert-code-for-selected',
  copyCurl: 'pyserve:copy-curl-for-selected',
} as const;

/** What is known right now: the last answer, and why there is no newer one. */
export interface ISnapshot {
  readonly status: IStatus | null;
  readonly problem: string | null;
}

/** The engine's status, kept up to date while somebody looks at it. */
export interface IStatusStore extends IDisposable {
  readonly snapshot: ISnapshot;
  readonly history: IHistory;
  readonly changed: ISignal<IStatusStore, ISnapshot>;
  start(): void;
  stop(): void;
  refresh(): Promise<void>;
  peek(): Promise<void>;
}

export const IStatusStore = new Token<IStatusStore>(
  'jupyter-pyserve:IStatusStore',
  'The models that jupyter_pyserve serves, and the processes behind them.',
);
