/**
 * The commands of the palette, the launcher and the View menu. They show things; what changes something is a button
 * of the panel, behind a question.
 */

import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { ICommandPalette } from '@jupyterlab/apputils';
import type { ILauncher } from '@jupyterlab/launcher';
import type { TranslationBundle } from '@jupyterlab/translation';

import { pyserveIcon } from './icon';
import { CommandIDs, type IStatusStore } from './tokens';

const NO_ARGUMENTS = { args: { type: 'object', properties: {}, additionalProperties: false } } as const;

export interface ICommandOptions {
  readonly app: JupyterFrontEnd;
  readonly store: IStatusStore;
  readonly trans: TranslationBundle;
  readonly panelId: string;
  readonly palette: ICommandPalette | null;
  readonly launcher: ILauncher | null;
}

export function addCommands({ app, store, trans, panelId, palette, launcher }: ICommandOptions): void {
  app.commands.addCommand(CommandIDs.showPanel, {
    label: trans.__('Served Models'),
    caption: trans.__('Show the models that PyServe serves'),
    icon: pyserveIcon,
    describedBy: NO_ARGUMENTS,
    execute: () => {
      app.shell.activateById(panelId);
    },
  });
  app.commands.addCommand(CommandIDs.refresh, {
    label: trans.__('Refresh Served Models'),
    describedBy: NO_ARGUMENTS,
    execute: () => store.refresh(),
  });

  const category = trans.__('PyServe');
  for (const command of Object.values(CommandIDs)) {
    palette?.addItem({ command, category });
  }
  launcher?.add({ command: CommandIDs.showPanel, category: trans.__('Other'), rank: 50 });
}
