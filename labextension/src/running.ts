/**
 * The section of served models in JupyterLab's list of what is running.
 */

import type { IRunningSessionManagers, IRunningSessions } from '@jupyterlab/running';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';

import { baseName } from './format';
import { pyserveIcon } from './icon';
import type { IModelStatus } from './status';
import type { IStatusStore } from './tokens';

export interface IRunningOptions {
  readonly managers: IRunningSessionManagers;
  readonly store: IStatusStore;
  readonly trans: TranslationBundle;
  readonly open: (model: IModelStatus) => void;
  /** Asks before it ends anything. */
  readonly unload: (model: IModelStatus) => Promise<void>;
  /** Without a question; the list has asked already. */
  readonly unloadAll: (models: readonly IModelStatus[]) => Promise<void>;
}

export function addRunningSection({ managers, store, trans, open, unload, unloadAll }: IRunningOptions): IDisposable {
  const running = (): readonly IModelStatus[] =>
    (store.snapshot.status?.models ?? []).filter(model => model.instances.length > 0);
  const item = (model: IModelStatus): IRunningSessions.IRunningItem => ({
    icon: () => pyserveIcon,
    label: () => model.name,
    labelTitle: () => [model.name, model.state, model.owner ?? trans.__('from the model repository')].join('\n'),
    detail: () => (model.owner === null ? '' : baseName(model.owner)),
    open: () => {
      open(model);
    },
    shutdown: () => {
      void unload(model);
    },
  });
  return managers.add({
    name: trans.__('Served Models'),
    running: () => running().map(item),
    runningChanged: store.changed,
    refreshRunning: () => {
      void store.peek();
    },
    shutdownAll: () => {
      void unloadAll(running());
    },
    shutdownLabel: trans.__('Unload'),
    shutdownAllLabel: trans.__('Unload All'),
    shutdownAllConfirmationText: () =>
      trans.__(
        'All served models stop answering and their processes end: %1.',
        running()
          .map(({ name }) => name)
          .join(', '),
      ),
  });
}
