/**
 * What every part of the panel may use, handed down once.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { Settings } from '../client/api';
import type { PanelState } from '../state/view';
import type { IHistory } from '../state/history';
import type { IActions } from './actions';

export interface IPanelContext {
  readonly trans: TranslationBundle;
  readonly settings: Settings;
  readonly state: PanelState;
  readonly history: IHistory;
  readonly actions: IActions;
  /** How long the parts that ask for themselves wait between two questions. */
  readonly intervalMs: () => number;
}

const Context = React.createContext<IPanelContext | null>(null);

export const PanelContextProvider = Context.Provider;

export function usePanel(): IPanelContext {
  const context = React.useContext(Context);
  if (context === null) {
    throw new Error('a part of the panel is shown outside of it');
  }
  return context;
}
