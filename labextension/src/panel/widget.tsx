/**
 * The panel as JupyterLab sees it: a widget of a side area that asks for news only while somebody can see it.
 */

import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import type { Settings } from '../client/api';
import { pyserveIcon } from '../icon';
import type { PanelState } from '../state/view';
import { type IStatusStore, PANEL_ID } from '../tokens';
import type { IActions } from './actions';
import { type IPanelContext, PanelContextProvider } from './context';
import { PanelView } from './view';

export interface IPanelOptions {
  readonly store: IStatusStore;
  readonly state: PanelState;
  readonly trans: TranslationBundle;
  readonly settings: Settings;
  readonly actions: IActions;
  readonly intervalMs: () => number;
}

export class PyServePanel extends ReactWidget {
  constructor(options: IPanelOptions) {
    super();
    const { store, state, trans, settings, actions, intervalMs } = options;
    this._store = store;
    this._state = state;
    this._context = { trans, settings, state, history: store.history, actions, intervalMs };
    this.id = PANEL_ID;
    this.addClass('jp-PyServe');
    this.title.icon = pyserveIcon;
    this.title.caption = trans.__('Served Models');
    this.title.closable = true;
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Served models'));
    document.addEventListener('visibilitychange', this._look);
  }

  override dispose(): void {
    if (!this.isDisposed) {
      document.removeEventListener('visibilitychange', this._look);
      this._store.stop();
      super.dispose();
    }
  }

  protected override render(): React.ReactElement | null {
    // Hidden, it draws nothing: the parts that ask for themselves end with what they show.
    if (!this.isVisible) {
      return null;
    }
    return (
      <PanelContextProvider value={this._context}>
        <UseSignal signal={this._state.changed}>
          {() => (
            <UseSignal signal={this._store.changed}>{() => <PanelView snapshot={this._store.snapshot} />}</UseSignal>
          )}
        </UseSignal>
      </PanelContextProvider>
    );
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._look();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this._look();
  }

  protected override onAfterHide(message: Message): void {
    super.onAfterHide(message);
    this._look();
  }

  protected override onBeforeDetach(message: Message): void {
    this._store.stop();
    super.onBeforeDetach(message);
  }

  private readonly _look = (): void => {
    if (this.isVisible && document.visibilityState !== 'hidden') {
      this._store.start();
    } else {
      this._store.stop();
    }
    this.update();
  };

  private readonly _context: IPanelContext;
  private readonly _state: PanelState;
  private readonly _store: IStatusStore;
}
