/**
 * What the buttons and commands do: ask where something would be lost, act, look again, and show a failure.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import * as api from '../client/api';
import { curlLine, notebookCode, tritonclientCode } from '../client/snippets';
import { formatTime } from '../format';
import type { PanelState } from '../state/view';
import type { IDeploy, IInstanceStatus, IModelStatus } from '../status';
import type { IStatusStore } from '../tokens';
import { askNumber, attempt, choose, copy, type IQuestion, isConfirmed, tell } from './dialogs';
import { insertCode, openFile } from './notebook';
import { killQuestion, restartInstanceQuestion, restartQuestion, unloadQuestion } from './questions';

type ModelTask = (model: IModelStatus) => Promise<void>;
type InstanceTask = (model: IModelStatus, instance: IInstanceStatus) => Promise<void>;

export interface IActions {
  readonly refresh: () => Promise<void>;
  readonly close: () => void;
  readonly load: () => Promise<void>;
  readonly loadAgain: ModelTask;
  readonly unload: ModelTask;
  readonly restart: ModelTask;
  readonly scale: ModelTask;
  readonly drain: ModelTask;
  readonly resume: ModelTask;
  readonly rollback: ModelTask;
  readonly restartInstance: InstanceTask;
  readonly drainInstance: InstanceTask;
  readonly resumeInstance: InstanceTask;
  readonly kill: InstanceTask;
  readonly debug: InstanceTask;
  readonly undebug: InstanceTask;
  readonly insertCode: ModelTask;
  readonly copyCurl: (model: IModelStatus) => void;
  readonly copyClient: (model: IModelStatus) => void;
  readonly openOwner: ModelTask;
}

export interface IActionOptions {
  readonly commands: CommandRegistry;
  readonly settings: api.Settings;
  readonly state: PanelState;
  readonly store: IStatusStore;
  readonly trans: TranslationBundle;
  readonly close: () => void;
  readonly alwaysAsk: boolean;
}

export function createActions(options: IActionOptions): IActions {
  const { settings, store } = options;
  /** Acts, then looks again. */
  const act = (title: string, task: () => Promise<void>): Promise<void> =>
    attempt(title, async () => {
      await task();
      await store.refresh();
    });
  return {
    refresh: () => store.refresh(),
    close: options.close,
    ...modelActions(options, act),
    ...instanceActions(options, act),
    ...textActions(options),
    load: async () => {
      const { trans } = options;
      const title = trans.__('Load a Model');
      await attempt(title, async () => {
        const items = await api.fetchLoadable(settings);
        if (items.length === 0) {
          tell(trans.__('Every model of the repository is loaded.'));
          return;
        }
        const index = await choose({ title, label: trans.__('Model'), accept: trans.__('Load'), items });
        const name = index === null ? undefined : items[index];
        if (name !== undefined) {
          await api.loadModel(settings, name);
          await store.refresh();
        }
      });
    },
  };
}

type Act = (title: string, task: () => Promise<void>) => Promise<void>;

/** Asks, unless the user set otherwise for the panel's buttons; who does not see the panel is always asked. */
function asking({
  state,
  alwaysAsk,
}: IActionOptions): (question: IQuestion, task: () => Promise<void>) => Promise<void> {
  return async (question, task) => {
    if ((!alwaysAsk && !state.preferences.confirm) || (await isConfirmed(question))) {
      await task();
    }
  };
}

type ModelActions = Pick<IActions, 'loadAgain' | 'unload' | 'restart' | 'scale' | 'drain' | 'resume' | 'rollback'>;

function modelActions(options: IActionOptions, act: Act): ModelActions {
  const { settings, trans } = options;
  const confirmed = asking(options);
  const plain =
    (action: api.ModelAction, title: string): ModelTask =>
    model =>
      act(title, () => api.actOnModel(settings, model.name, action));
  return {
    loadAgain: model => act(trans.__('Load %1', model.name), () => api.loadModel(settings, model.name)),
    unload: model => {
      const question = unloadQuestion(model, trans);
      return confirmed(question, () =>
        act(question.title, () => api.actOnModel(settings, model.name, 'undeploy', { delete: false })),
      );
    },
    restart: model => {
      const question = restartQuestion(model, trans);
      return confirmed(question, () => act(question.title, () => api.actOnModel(settings, model.name, 'restart')));
    },
    scale: async model => {
      const title = trans.__('Scale %1', model.name);
      const label = trans.__('Instances');
      const value = Math.max(1, model.instances.length);
      const instances = await askNumber({ title, label, accept: trans.__('Scale'), value });
      if (instances !== null) {
        await act(title, () => api.actOnModel(settings, model.name, 'scale', { instances }));
      }
    },
    drain: plain('drain', trans.__('Drain')),
    resume: plain('resume', trans.__('Resume')),
    rollback: async model => {
      const title = trans.__('Roll back %1', model.name);
      const deploys = [...(model.deploys ?? [])].reverse().slice(1);
      const items = deploys.map(deploy => deployLabel(deploy, trans));
      const index = await choose({ title, label: trans.__('Back to'), accept: trans.__('Roll Back'), items });
      const deploy = index === null ? undefined : deploys[index];
      if (deploy !== undefined) {
        await act(title, () => api.actOnModel(settings, model.name, 'rollback', { version: deploy.version }));
      }
    },
  };
}

function deployLabel({ version, time, owner }: IDeploy, trans: TranslationBundle): string {
  const when = time === undefined ? '' : `, ${formatTime(time)}`;
  return trans.__('version %1', version) + when + (owner ? `, ${owner}` : '');
}

type InstanceActions = Pick<
  IActions,
  'restartInstance' | 'drainInstance' | 'resumeInstance' | 'kill' | 'debug' | 'undebug'
>;

function instanceActions(options: IActionOptions, act: Act): InstanceActions {
  const { settings, trans } = options;
  const confirmed = asking(options);
  const plain =
    (action: api.InstanceAction, title: string): InstanceTask =>
    (model, instance) =>
      act(title, () => api.actOnInstance(settings, model.name, instance.name, action));
  return {
    restartInstance: (model, instance) =>
      confirmed(restartInstanceQuestion(instance, trans), () => plain('restart', trans.__('Restart'))(model, instance)),
    drainInstance: plain('drain', trans.__('Drain')),
    resumeInstance: plain('resume', trans.__('Resume')),
    debug: (model, instance) =>
      act(trans.__('Debug %1', instance.name), async () => {
        const address = await api.startDebugging(settings, model.name, instance.name);
        copy(address, trans.__('A debugger can attach to %1 (copied). No request times out meanwhile.', address));
      }),
    undebug: plain('undebug', trans.__('End debugging')),
    kill: async (model, instance) => {
      if (await isConfirmed(killQuestion(instance, trans))) {
        await plain('kill', trans.__('Kill'))(model, instance);
      }
    },
  };
}

type TextActions = Pick<IActions, 'insertCode' | 'copyCurl' | 'copyClient' | 'openOwner'>;

function textActions({ commands, settings, store, trans }: IActionOptions): TextActions {
  return {
    insertCode: model =>
      attempt(trans.__('Insert code'), async () => {
        const code = notebookCode(model);
        if (!(await insertCode(commands, code))) {
          copy(code, trans.__('No notebook is active, so the code was copied.'));
        }
      }),
    copyCurl: model => {
      copy(curlLine(settings.baseUrl, model), trans.__('Copied a curl line for %1', model.name));
    },
    copyClient: model => {
      const grpcUrl = store.snapshot.status?.engine.grpc_url ?? null;
      copy(tritonclientCode(model, grpcUrl), trans.__('Copied a tritonclient script for %1', model.name));
    },
    openOwner: model =>
      attempt(trans.__('Open notebook'), async () => {
        await openFile(commands, model.owner ?? '');
      }),
  };
}
