/**
 * The panel as JupyterLab sees it: a widget of the left area that asks for news only while it is visible.
 */

import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { pyserveIcon } from '../icon';
import { type IStatusStore, PANEL_ID } from '../tokens';
import { createActions } from './actions';
import { PanelView } from './view';

export interface IPanelOptions {
  readonly store: IStatusStore;
  readonly trans: TranslationBundle;
  readonly baseUrl: string;
}

export class PyServePanel extends ReactWidget {
  constructor(options: IPanelOptions) {
    super();
    this._options = options;
    const { trans } = options;
    this.id = PANEL_ID;
    this.addClass('jp-PyServe');
    this.title.icon = pyserveIcon;
    this.title.caption = trans.__('Served Models');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Served models'));
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._options.store.stop();
      super.dispose();
    }
  }

  protected override render(): React.ReactElement {
    const { store, trans } = this._options;
    const actions = createActions(this._options);
    return (
      <UseSignal signal={store.changed}>
        {() => <PanelView snapshot={store.snapshot} actions={actions} trans={trans} />}
      </UseSignal>
    );
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this._options.store.start();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    if (this.isVisible) {
      this._options.store.start();
    }
  }

  protected override onBeforeHide(message: Message): void {
    this._options.store.stop();
    super.onBeforeHide(message);
  }

  private readonly _options: IPanelOptions;
}
