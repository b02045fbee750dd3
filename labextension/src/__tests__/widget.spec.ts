import { nullTranslator } from '@jupyterlab/translation';
import { type ISignal, Signal } from '@lumino/signaling';
import { MessageLoop } from '@lumino/messaging';
import { Panel, Widget } from '@lumino/widgets';

import type { IActions } from '../panel/actions';
import { PyServePanel } from '../panel/widget';
import { History } from '../state/history';
import { PanelState } from '../state/view';
import type { ISnapshot, IStatusStore } from '../tokens';
import { fakeServer, statusOf } from './samples';

class FakeStore implements IStatusStore {
  readonly snapshot = { status: statusOf(), problem: null };
  readonly history = new History();
  readonly changed: ISignal<IStatusStore, ISnapshot> = new Signal<IStatusStore, ISnapshot>(this);
  readonly isDisposed = false;
  running = false;
  dispose = (): void => undefined;
  start = (): void => {
    this.running = true;
  };
  stop = (): void => {
    this.running = false;
  };
  refresh = (): Promise<void> => Promise.resolve();
  peek = (): Promise<void> => Promise.resolve();
}

describe('PyServePanel', () => {
  let store: FakeStore;
  let panel: PyServePanel;
  let area: Panel;
  let visibility: jest.SpyInstance<string>;

  beforeEach(() => {
    store = new FakeStore();
    visibility = jest.spyOn(document, 'visibilityState', 'get').mockReturnValue('visible');
    panel = new PyServePanel({
      store,
      state: new PanelState(),
      trans: nullTranslator.load('jupyter_pyserve'),
      settings: fakeServer().settings,
      actions: {} as IActions,
      intervalMs: () => 1000,
    });
    area = new Panel();
    Widget.attach(area, document.body);
  });

  afterEach(() => {
    area.dispose();
    visibility.mockRestore();
  });

  function turnPage(state: string): void {
    visibility.mockReturnValue(state);
    document.dispatchEvent(new Event('visibilitychange'));
  }

  it('asks only while it is visible', () => {
    panel.hide();
    area.addWidget(panel);
    expect(store.running).toBe(false);
    panel.show();
    expect(store.running).toBe(true);
    panel.hide();
    expect(store.running).toBe(false);
  });

  it('asks nothing for a page that nobody sees', () => {
    area.addWidget(panel);
    turnPage('hidden');
    expect(store.running).toBe(false);
    turnPage('visible');
    expect(store.running).toBe(true);
  });

  it('does not start because the page is seen again while it is hidden itself', () => {
    area.addWidget(panel);
    panel.hide();
    turnPage('hidden');
    turnPage('visible');
    expect(store.running).toBe(false);
  });

  it('draws nothing while it is hidden', async () => {
    area.addWidget(panel);
    MessageLoop.flush();
    await panel.renderPromise;
    expect(panel.node.textContent).toContain('Served models');
    panel.hide();
    MessageLoop.flush();
    await panel.renderPromise;
    expect(panel.node.textContent).toBe('');
  });

  it.each(['dispose', 'close'] as const)('stops when it is gone: %s', end => {
    area.addWidget(panel);
    panel[end]();
    expect(store.running).toBe(false);
    turnPage('visible');
    expect(store.running).toBe(false);
  });
});
