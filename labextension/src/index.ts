/**
 * The JupyterLab plugin: wires store, panel and commands to whatever the host application offers.
 */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { ILauncher } from '@jupyterlab/launcher';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { addCommands } from './commands';
import { PyServePanel } from './panel/widget';
import { StatusStore } from './store';
import { IStatusStore, PANEL_ID, PLUGIN_ID } from './tokens';

const plugin: JupyterFrontEndPlugin<IStatusStore> = {
  id: PLUGIN_ID,
  description: 'A side panel with the models that jupyter_pyserve serves.',
  autoStart: true,
  provides: IStatusStore,
  optional: [ILayoutRestorer, ICommandPalette, ILauncher, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    restorer: ILayoutRestorer | null,
    palette: ICommandPalette | null,
    launcher: ILauncher | null,
    translator: ITranslator | null,
  ): IStatusStore => {
    const trans = (translator ?? nullTranslator).load('jupyter_pyserve');
    const { serverSettings } = app.serviceManager;
    const store = new StatusStore({ serverSettings });
    const panel = new PyServePanel({ store, trans, baseUrl: serverSettings.baseUrl });
    app.shell.add(panel, 'left', { rank: 600 });
    restorer?.add(panel, PANEL_ID);
    addCommands({ app, store, trans, panelId: PANEL_ID, palette, launcher });
    return store;
  },
};

export default plugin;
