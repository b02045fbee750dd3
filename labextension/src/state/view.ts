/**
 * What the user looks at: the chosen row, what is folded, the filter, the tab. Knows no DOM; commands read it too.
 */

import { type ISignal, Signal } from '@lumino/signaling';

export type Tab = 'details' | 'plots' | 'logs' | 'try' | 'stack';

export interface IViewState {
  readonly selected: string | null;
  readonly expanded: ReadonlyMap<string, boolean>;
  readonly filter: string;
  readonly tab: Tab;
  /** The request whose log lines are looked for. */
  readonly request: string;
}

export interface IPreferences {
  readonly showHostTotals: boolean;
  readonly confirm: boolean;
}

export class PanelState {
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get view(): IViewState {
    return this._view;
  }

  get preferences(): IPreferences {
    return this._preferences;
  }

  set preferences(value: IPreferences) {
    this._preferences = value;
    this._changed.emit();
  }

  select(key: string | null): void {
    if (key !== this._view.selected) {
      this._update({ selected: key, request: '' });
    }
  }

  toggle(key: string, open: boolean): void {
    this._update({ expanded: new Map(this._view.expanded).set(key, open) });
  }

  setFilter(filter: string): void {
    this._update({ filter });
  }

  setTab(tab: Tab): void {
    this._update({ tab });
  }

  /** The log lines of one request; an empty id shows all again. */
  showRequest(request: string): void {
    this._update({ tab: 'logs', request });
  }

  private _update(change: Partial<IViewState>): void {
    this._view = { ...this._view, ...change };
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _preferences: IPreferences = { showHostTotals: true, confirm: true };
  private _view: IViewState = { selected: null, expanded: new Map(), filter: '', tab: 'details', request: '' };
}
