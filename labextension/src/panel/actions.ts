/**
 * What the buttons do: ask where something would be lost, act, and show a failure.
 */

import { Clipboard, Dialog, Notification, showDialog, showErrorMessage } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { curlLine } from '../curl';
import type { IModelStatus, IStatusStore } from '../tokens';

export interface IActions {
  readonly refresh: () => Promise<void>;
  readonly unload: (model: IModelStatus) => Promise<void>;
  readonly restart: (model: IModelStatus) => Promise<void>;
  readonly copyCurl: (model: IModelStatus) => void;
}

interface IOptions {
  readonly store: IStatusStore;
  readonly trans: TranslationBundle;
  readonly baseUrl: string;
}

interface IQuestion {
  readonly title: string;
  readonly body: string;
  readonly accept: string;
}

export function createActions({ store, trans, baseUrl }: IOptions): IActions {
  /** Names what dies, asks, acts. Resolves once it is done or declined. */
  const confirmed = async (question: IQuestion, act: () => Promise<void>): Promise<void> => {
    const { title, body, accept } = question;
    const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label: accept })];
    const answer = await showDialog({ title, body, buttons, defaultButton: 0 });
    if (!answer.button.accept) {
      return;
    }
    try {
      await act();
    } catch (error) {
      await showErrorMessage(title, error instanceof Error ? error.message : String(error));
    }
  };

  return {
    refresh: () => store.refresh(),
    unload: model =>
      confirmed(
        {
          title: trans.__('Unload %1?', model.name),
          body: trans._n(
            'It stops answering and its process ends. Its files stay in the model repository.',
            'It stops answering and its %1 processes end. Its files stay in the model repository.',
            model.instances.length,
          ),
          accept: trans.__('Unload'),
        },
        () => store.unload(model.name),
      ),
    restart: model =>
      confirmed(
        {
          title: trans.__('Restart %1?', model.name),
          body: trans._n(
            'Its process is replaced by a new one; what the model keeps in memory is lost.',
            'Its %1 processes are replaced by new ones; what the model keeps in memory is lost.',
            model.instances.length,
          ),
          accept: trans.__('Restart'),
        },
        () => store.restart(model.name),
      ),
    copyCurl: model => {
      Clipboard.copyToSystem(curlLine(baseUrl, model));
      Notification.success(trans.__('Copied a curl line for %1', model.name), { autoClose: 2000 });
    },
  };
}
