/**
 * The notebook beside the panel, reached through the commands that it registers: a cell is added where the user asked
 * for one, and never run.
 */

import { PageConfig, PathExt } from '@jupyterlab/coreutils';
import type { CommandRegistry } from '@lumino/commands';

const INSERT = 'notebook:insert-cell-below';
const REPLACE = 'notebook:replace-selection';
const OPEN = 'docmanager:open';

/** Puts code into a new cell below the active one; false where no notebook is open. */
export async function insertCode(commands: CommandRegistry, code: string): Promise<boolean> {
  if (!commands.hasCommand(INSERT) || !commands.isEnabled(INSERT)) {
    return false;
  }
  await commands.execute(INSERT);
  await commands.execute(REPLACE, { text: code });
  return true;
}

/** Where Jupyter's contents have a file of this machine; null where it is outside of the server's root. */
export function contentsPath(path: string, serverRoot: string): string | null {
  if (!path.startsWith('/')) {
    return path === '' ? null : PathExt.normalize(path);
  }
  // The page knows the root with a tilde for the home directory, which may be anywhere.
  const root = serverRoot.replace(/\/$/, '');
  const inHome = root.startsWith('~');
  const tail = `${inHome ? root.slice(1) : root}/`;
  const index = inHome ? path.indexOf(tail) : path.startsWith(tail) ? 0 : -1;
  return index < 0 || tail === '/' ? null : path.slice(index + tail.length);
}

export async function openFile(commands: CommandRegistry, path: string): Promise<void> {
  const found = contentsPath(path, PageConfig.getOption('serverRoot'));
  if (found === null || !commands.hasCommand(OPEN)) {
    throw new Error(`${path} is not in the folder of this Jupyter server.`);
  }
  await commands.execute(OPEN, { path: found });
}
