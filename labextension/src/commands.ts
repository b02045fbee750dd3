/**
 * The commands of the palette, the launcher and the View menu. None takes an argument, and what would end something
 * asks first: notebook output can carry a click on any of them.
 */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { ILauncher } from '@jupyterlab/launcher';
import type { TranslationBundle } from '@jupyterlab/translation';

import { pyserveIcon } from './icon';
import type { IActions } from './panel/actions';
import type { IModelStatus } from './status';
import { CommandIDs } from './tokens';

const NO_ARGUMENTS = { args: { type: 'object', properties: {}, additionalProperties: false } } as const;

export interface ICommandOptions {
  readonly app: JupyterFrontEnd;
  readonly actions: IActions;
  /** The model that is selected in the panel. */
  readonly selected: () => IModelStatus | null;
  readonly show: () => void;
  readonly trans: TranslationBundle;
  readonly palette: ICommandPalette | null;
  readonly launcher: ILauncher | null;
}

export function addCommands({ app, actions, selected, show, trans, palette, launcher }: ICommandOptions): void {
  const { commands } = app;
  commands.addCommand(CommandIDs.showPanel, {
    label: trans.__('Served Models'),
    caption: trans.__('Show the models that PyServe serves'),
    icon: pyserveIcon,
    describedBy: NO_ARGUMENTS,
    execute: show,
  });
  commands.addCommand(CommandIDs.refresh, {
    label: trans.__('Refresh Served Models'),
    describedBy: NO_ARGUMENTS,
    execute: () => actions.refresh(),
  });
  commands.addCommand(CommandIDs.load, {
    label: trans.__('Load a Model…'),
    describedBy: NO_ARGUMENTS,
    execute: () => actions.load(),
  });

  const forSelected = (id: string, label: string, act: (model: IModelStatus) => Promise<void> | void): void => {
    commands.addCommand(id, {
      label: () => trans.__('%1: %2', label, selected()?.name ?? trans.__('no model is selected')),
      describedBy: NO_ARGUMENTS,
      isEnabled: () => selected() !== null,
      execute: async () => {
        const model = selected();
        if (model !== null) {
          await act(model);
        }
      },
    });
  };
  forSelected(CommandIDs.unload, trans.__('Unload Model'), actions.unload);
  forSelected(CommandIDs.restart, trans.__('Restart Model'), actions.restart);
  forSelected(CommandIDs.scale, trans.__('Scale Model'), actions.scale);
  forSelected(CommandIDs.insertCode, trans.__('Insert Code for Model'), actions.insertCode);
  forSelected(CommandIDs.copyCurl, trans.__('Copy curl Line for Model'), actions.copyCurl);

  const category = trans.__('PyServe');
  for (const command of Object.values(CommandIDs)) {
    palette?.addItem({ command, category });
  }
  launcher?.add({ command: CommandIDs.showPanel, category: trans.__('Other'), rank: 50 });
}
