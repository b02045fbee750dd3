import { nullTranslator } from '@jupyterlab/translation';
import { type ISignal, Signal } from '@lumino/signaling';
import { Panel, Widget } from '@lumino/widgets';

import { PyServePanel } from '../panel/widget';
import type { ISnapshot, IStatusStore } from '../tokens';

class FakeStore implements IStatusStore {
  readonly snapshot = { status: null, problem: null };
  readonly changed: ISignal<IStatusStore, ISnapshot> = new Signal<IStatusStore, ISnapshot>(this);
  readonly isDisposed = false;
  readonly calls: string[] = [];
  dispose = (): void => undefined;
  start = (): number => this.calls.push('start');
  stop = (): number => this.calls.push('stop');
  refresh = (): Promise<void> => Promise.resolve();
  unload = (): Promise<void> => Promise.resolve();
  restart = (): Promise<void> => Promise.resolve();
}

describe('PyServePanel', () => {
  let store: FakeStore;
  let panel: PyServePanel;
  let area: Panel;

  beforeEach(() => {
    store = new FakeStore();
    panel = new PyServePanel({ store, trans: nullTranslator.load('jupyter_pyserve'), baseUrl: 'http://localhost/' });
    area = new Panel();
    Widget.attach(area, document.body);
  });

  afterEach(() => {
    area.dispose();
  });

  it('asks only while it is visible', () => {
    panel.hide();
    area.addWidget(panel);
    expect(store.calls).toEqual([]);
    panel.show();
    panel.hide();
    expect(store.calls).toEqual(['start', 'stop']);
  });

  it('asks at once where it is added visible, and stops when it is closed', () => {
    area.addWidget(panel);
    panel.dispose();
    expect(store.calls).toEqual(['start', 'stop']);
  });
});
