/**
 * The JupyterLab plugin: wires store, panel, commands, settings and the running-sessions section to whatever the host
 * application offers.
 */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { IRunningSessionManagers } from '@jupyterlab/running';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { actOnModel } from './client/api';
import { addCommands } from './commands';
import { createActions } from './panel/actions';
import { attempt } from './panel/dialogs';
import { PyServePanel } from './panel/widget';
import { settingValues } from './preferences';
import { addRunningSection } from './running';
import { StatusStore } from './state/store';
import { findRow, modelKey } from './state/tree';
import { PanelState } from './state/view';
import { IStatusStore, PANEL_ID, PLUGIN_ID } from './tokens';

const RANK = 600;

const plugin: JupyterFrontEndPlugin<IStatusStore> = {
  id: PLUGIN_ID,
  description: 'A side panel with the models that jupyter_pyserve serves.',
  autoStart: true,
  provides: IStatusStore,
  optional: [ILayoutRestorer, ICommandPalette, ILauncher, ISettingRegistry, IRunningSessionManagers, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    registry: ISettingRegistry | null,
    managers: IRunningSessionManagers | null,
    translator: ITranslator | null,
  ): IStatusStore => {
    const trans = (translator ?? nullTranslator).load('jupyter_pyserve');
    const { serverSettings: settings } = app.serviceManager;
    const store = new StatusStore({ serverSettings: settings });
    const state = new PanelState();
    const close = (): void => {
      panel.close();
    };
    const options = { commands: app.commands, settings, state, store, trans, close };
    const panel = new PyServePanel({
      ...{ settings, state, store, trans },
      actions: createActions({ ...options, alwaysAsk: false }),
      intervalMs: () => store.intervalMs,
    });
    const actions = createActions({ ...options, alwaysAsk: true });
    const show = (): void => {
      if (!panel.isAttached) {
        app.shell.add(panel, 'left', { rank: RANK });
      }
      app.shell.activateById(PANEL_ID);
    };

    app.shell.add(panel, 'left', { rank: RANK });
    restorer?.add(panel, PANEL_ID);
    const selected = (): ReturnType<typeof findModel> => findModel(store, state);
    addCommands({ app, actions, selected, show, trans, palette, launcher });
    if (managers !== null) {
      addRunningSection({
        ...{ managers, store, trans },
        open: model => {
          state.select(modelKey(model.name));
          show();
        },
        unload: actions.unload,
        unloadAll: models =>
          attempt(trans.__('Unload All'), async () => {
            await Promise.all(models.map(({ name }) => actOnModel(settings, name, 'undeploy', { delete: false })));
            await store.refresh();
          }),
      });
    }
    if (registry !== null) {
      void followSettings(registry, store, state);
    }
    return store;
  },
};

function findModel(store: IStatusStore, state: PanelState): NonNullable<ReturnType<typeof findRow>>['model'] | null {
  const { status } = store.snapshot;
  return status === null ? null : (findRow(status, state.view.selected)?.model ?? null);
}

async function followSettings(registry: ISettingRegistry, store: StatusStore, state: PanelState): Promise<void> {
  const settings = await registry.load(PLUGIN_ID);
  const read = (): void => {
    const { intervalMs, ...preferences } = settingValues(settings);
    store.intervalMs = intervalMs;
    state.preferences = preferences;
  };
  settings.changed.connect(read);
  read();
}

export default plugin;
