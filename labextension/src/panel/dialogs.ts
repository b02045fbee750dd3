/**
 * The questions that the panel asks, and how it tells that something worked or did not.
 */

import { Clipboard, Dialog, InputDialog, Notification, showDialog, showErrorMessage } from '@jupyterlab/apputils';

import { describe } from '../client/api';

export interface IQuestion {
  readonly title: string;
  /** Names what dies. */
  readonly body: string;
  readonly accept: string;
}

export async function isConfirmed({ title, body, accept }: IQuestion): Promise<boolean> {
  const buttons = [Dialog.cancelButton(), Dialog.warnButton({ label: accept })];
  const answer = await showDialog({ title, body, buttons, defaultButton: 0 });
  return answer.button.accept;
}

export interface INumberQuestion {
  readonly title: string;
  readonly label: string;
  readonly accept: string;
  readonly value: number;
}

/** A whole number of at least one; null when the question was declined. */
export async function askNumber({ title, label, accept, value }: INumberQuestion): Promise<number | null> {
  const answer = await InputDialog.getNumber({ title, label, okLabel: accept, value });
  if (!answer.button.accept || answer.value === null) {
    return null;
  }
  return Math.max(1, Math.round(answer.value));
}

export interface IChoice {
  readonly title: string;
  readonly label: string;
  readonly accept: string;
  readonly items: readonly string[];
}

/** The place of what was chosen; null when the question was declined. */
export async function choose({ title, label, accept, items }: IChoice): Promise<number | null> {
  const answer = await InputDialog.getItem({ title, label, okLabel: accept, items: [...items], editable: false });
  const index = answer.value === null ? -1 : items.indexOf(answer.value);
  return answer.button.accept && index >= 0 ? index : null;
}

/** Acts; a failure is shown under the title of what was to be done. */
export async function attempt(title: string, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    await showErrorMessage(title, describe(error));
  }
}

export function copy(text: string, done: string): void {
  Clipboard.copyToSystem(text);
  tell(done);
}

export function tell(text: string): void {
  Notification.success(text, { autoClose: 2000 });
}
