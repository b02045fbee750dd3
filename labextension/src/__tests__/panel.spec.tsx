import { nullTranslator } from '@jupyterlab/translation';
import * as React from 'react';
import { createRoot, type Root } from 'react-dom/client';

import type { IActions } from '../panel/actions';
import { type IPanelContext, PanelContextProvider } from '../panel/context';
import { PanelView } from '../panel/view';
import { History } from '../state/history';
import { PanelState, type Tab } from '../state/view';
import type { IModelStatus } from '../status';
import type { ISnapshot } from '../tokens';
import { adder, asked, fakeServer, type IFakeServer, instance, json, statusOf } from './samples';

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

const HOSTILE = '<img src=x onerror="window.pwned = 1">';

function fakeActions(): Record<string, jest.Mock> {
  return new Proxy<Record<string, jest.Mock>>(
    {},
    { get: (made, name: string) => (made[name] ??= jest.fn(() => Promise.resolve())) },
  );
}

describe('PanelView', () => {
  let host: HTMLElement;
  let root: Root;
  let server: IFakeServer;
  let state: PanelState;
  let history: History;
  let actions: ReturnType<typeof fakeActions>;
  let snapshot: ISnapshot;

  beforeEach(() => {
    host = document.body.appendChild(document.createElement('div'));
    root = createRoot(host);
    server = fakeServer({ records: [], next: 0 });
    state = new PanelState();
    history = new History();
    actions = fakeActions();
    state.changed.connect(draw);
  });

  afterEach(() => {
    React.act(() => {
      root.unmount();
    });
    host.remove();
  });

  function draw(): void {
    const context: IPanelContext = {
      trans: nullTranslator.load('jupyter_pyserve'),
      settings: server.settings,
      ...{ state, history },
      actions: actions as unknown as IActions,
      intervalMs: () => 1_000_000,
    };
    root.render(
      <PanelContextProvider value={context}>
        <PanelView snapshot={snapshot} />
      </PanelContextProvider>,
    );
  }

  function show(...models: IModelStatus[]): void {
    snapshot = { status: statusOf(...models), problem: null };
    React.act(draw);
  }

  async function act(task: () => void): Promise<void> {
    await React.act(async () => {
      task();
      // The answer of the made-up server takes a few turns.
      await new Promise(resolve => setTimeout(resolve, 0));
    });
  }

  function find(selector: string): HTMLElement {
    return host.querySelector<HTMLElement>(selector)!;
  }

  function row(name: string): HTMLElement {
    return find(`[role="treeitem"][aria-label="${name}"]`);
  }

  function button(text: string): HTMLButtonElement {
    return [...host.querySelectorAll('button')].find(item => (item.ariaLabel ?? item.textContent) === text)!;
  }

  async function choose(name: string, tab?: Tab): Promise<void> {
    await act(() => {
      row(name).click();
      if (tab !== undefined) {
        state.setTab(tab);
      }
    });
  }

  function press(key: string): Promise<void> {
    return act(() => find('[role="tree"]').dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true })));
  }

  it('shows model, version and instance, each with its notebook', () => {
    show({ ...adder, owner: 'work/demo.ipynb' });
    const rows = [...host.querySelectorAll('[role="treeitem"]')];
    expect(
      rows.map(item => [item.ariaLabel ?? item.getAttribute('aria-label'), item.getAttribute('aria-level')]),
    ).toEqual([
      ['adder', '1'],
      ['version 1', '2'],
      ['adder_0', '3'],
    ]);
    expect(rows.map(item => item.querySelector('.jp-PyServe-owner')!.textContent)).toEqual(Array(3).fill('demo.ipynb'));
    expect(row('adder_0').textContent).toContain('pid 4242 · 7 requests · 1 restart');
  });

  it('draws a few rows of many', () => {
    show(...Array.from({ length: 500 }, (_, index) => ({ ...adder, name: `model_${index}` })));
    expect(host.querySelectorAll('[role="treeitem"]').length).toBeLessThan(40);
    expect(row('model_0').getAttribute('aria-setsize')).toBe('500');
  });

  it('can be walked by the keyboard', async () => {
    show(adder);
    const active = (): string | null =>
      document
        .getElementById(find('[role="tree"]').getAttribute('aria-activedescendant') ?? '')
        ?.getAttribute('aria-label') ?? null;
    await press('ArrowDown');
    expect(active()).toBe('adder');
    await press('ArrowRight');
    expect(active()).toBe('version 1');
    await press('End');
    expect(active()).toBe('adder_0');
    await press('ArrowLeft');
    expect(active()).toBe('version 1');
    await press('ArrowLeft');
    expect([row('version 1').getAttribute('aria-expanded'), row('adder_0')]).toEqual(['false', null]);
    await press('Enter');
    expect(row('adder_0')).not.toBeNull();
  });

  it('shows hostile names as text', async () => {
    const reason = '<script>window.pwned = 1</script>';
    const hostile = { ...instance, name: HOSTILE, last_error: HOSTILE, state: 'FAILED' };
    const model = { ...adder, name: HOSTILE, owner: HOSTILE, reason, instances: [hostile] };
    show(model);
    await act(() => {
      state.select(JSON.stringify([HOSTILE]));
    });
    await act(() => {
      state.select(JSON.stringify([HOSTILE, '1', HOSTILE]));
    });
    expect(host.querySelector('img, script')).toBeNull();
    expect(host.textContent).toContain(HOSTILE);
    expect(host.textContent).toContain(reason);
  });

  it.each([
    ['Reload', 'loadAgain'],
    ['Unload', 'unload'],
    ['Restart', 'restart'],
    ['Scale…', 'scale'],
    ['Drain', 'drain'],
    ['Roll back…', 'rollback'],
    ['Insert code', 'insertCode'],
    ['Copy curl', 'copyCurl'],
    ['Copy Python', 'copyClient'],
  ])('%s acts on the selected model', async (label, action) => {
    const model = { ...adder, deploys: [{ version: '1' }, { version: '2' }] };
    show(model);
    await choose('adder');
    await act(() => {
      button(label).click();
    });
    expect(actions[action]).toHaveBeenCalledWith(model);
  });

  it.each([
    ['Restart', 'restartInstance', {}],
    ['Drain', 'drainInstance', {}],
    ['Resume', 'resumeInstance', { draining: true }],
    ['Kill', 'kill', {}],
    ['Debug', 'debug', {}],
    ['End debugging', 'undebug', { debug: { port: 5678 } }],
  ])('%s acts on the selected instance', async (label, action, changes) => {
    const changed = { ...instance, ...changes };
    const model = { ...adder, instances: [changed] };
    show(model);
    await choose('adder_0');
    await act(() => {
      button(label).click();
    });
    expect(actions[action]).toHaveBeenCalledWith(model, changed);
  });

  it('offers what can be done with a model that is not there, and nothing else', async () => {
    show({
      ...adder,
      state: 'UNAVAILABLE',
      instances: [],
      versions: [{ version: '1', state: 'UNAVAILABLE', reason: 'x' }],
    });
    await choose('adder');
    const labels = [...find('[role="group"]').querySelectorAll('button')].map(item => item.textContent);
    expect(labels).toEqual(['Load', 'Insert code', 'Copy curl', 'Copy Python']);
  });

  it('tells what was unloaded from what failed', () => {
    const versions = [
      { version: '1', state: 'UNAVAILABLE', reason: 'unloaded' },
      { version: '2', state: 'UNAVAILABLE', reason: 'x' },
    ];
    show({ ...adder, instances: [], versions });
    const badges = [...host.querySelectorAll<HTMLElement>('.jp-PyServe-row .jp-PyServe-state')];
    const seen = badges.map(badge => [badge.textContent, badge.dataset.tone]);
    expect(seen).toContainEqual(['UNLOADED', 'quiet']);
    expect(seen).toContainEqual(['UNAVAILABLE', 'bad']);
  });

  it('opens the notebook that deployed a model', async () => {
    const model = { ...adder, owner: 'a/demo.ipynb' };
    show(model);
    await choose('adder');
    await act(() => {
      button('demo.ipynb').click();
    });
    expect(actions.openOwner).toHaveBeenCalledWith(model);
  });

  it('says why a figure cannot be had', async () => {
    const unavailable = { gpu: 'no driver', pss_bytes: 'not permitted' };
    show({ ...adder, instances: [{ ...instance, pss_bytes: null, rss_bytes: 1024, unavailable }] });
    await choose('adder_0');
    const figures = Object.fromEntries(
      [...host.querySelectorAll('.jp-PyServe-figure')].map(item => [
        item.children[0]!.textContent,
        item.children[1]!.textContent,
      ]),
    );
    expect(figures['Memory (PSS)']).toBe('not available: not permitted');
    expect(figures['Memory (RSS)']).toBe('1.0 KiB');
    expect(figures['GPU memory']).toBe('not available: no driver');
  });

  it('hides the totals of the host where the user wants that', () => {
    const status = statusOf();
    const host_status = { cpu_percent: 50, memory_used_bytes: 1, memory_total_bytes: 2 };
    snapshot = { status: { ...status, engine: { ...status.engine, host: host_status } }, problem: null };
    React.act(draw);
    expect(host.textContent).toContain('Host CPU');
    React.act(() => {
      state.preferences = { ...state.preferences, showHostTotals: false };
    });
    expect(host.textContent).not.toContain('Host CPU');
  });

  it('plots what was recorded, and says it in words', async () => {
    [0, 10].forEach(requests => {
      history.record(
        statusOf({ ...adder, instances: [{ ...instance, requests, cpu_percent: requests }] }),
        requests / 10,
      );
    });
    show({ ...adder, statistics: { batch_sizes: { '1': 5, '4': 10 } } });
    await choose('adder', 'plots');
    const words = [...host.querySelectorAll('svg[role="img"]')].map(plot => plot.getAttribute('aria-label'));
    expect(words).toEqual([
      'Requests: 10/s, max 10/s',
      'Latency (p50): nothing yet, max 0 µs',
      'Memory: nothing yet, max 0 B',
      'CPU: 10 %, max 10 %',
      'Batch sizes: 1: 5 times, 4: 10 times',
    ]);
    expect(find('polyline').getAttribute('points')).toMatch(/^240\.0,/);
  });

  it('shows log lines as text and leads from one to its request', async () => {
    const line = { seq: 1, time: 0, instance: 'adder_0', version: '1', stream: 'stdout', level: 'INFO' };
    const records = [
      { ...line, text: `\u001b[31m${HOSTILE}\u001b[0m`, request: 'r-1' },
      { ...line, seq: 2, text: 'of nobody' },
    ];
    server.answer = () => json({ records, next: 2 });
    show(adder);
    await choose('adder', 'logs');
    expect(host.querySelector('img')).toBeNull();
    expect(find('[role="log"]').textContent).toContain(HOSTILE);
    expect(find('[role="log"]').textContent).not.toContain('\u001b');
    await act(() => {
      button('r-1').click();
    });
    expect(find('[role="log"]').textContent).not.toContain('of nobody');
    expect(server.requests[server.requests.length - 1]!.url).toContain('request=r-1');
    await act(() => {
      button('Show all').click();
    });
    expect(find('[role="log"]').textContent).toContain('of nobody');
  });

  it('says why there is no log', async () => {
    server.answer = () => json({ error: 'no such model' }, 404);
    show(adder);
    await choose('adder', 'logs');
    expect(find('[role="alert"]').textContent).toBe('no such model');
  });

  it('calls the model with what was typed', async () => {
    server.answer = () => json({ outputs: [{ name: 'OUT', data: [1, 2] }] });
    show(adder);
    await choose('adder', 'try');
    expect(find('textarea').textContent).toBe('[[0, 0]]');
    await act(() => {
      button('Infer').click();
    });
    expect(asked(server)[0]![1]).toMatch(/\/v2\/models\/adder\/infer$/);
    expect(find('pre').textContent).toContain('[ 1, 2 ]');
    expect(find('form [role="status"]').textContent).toMatch(/ms$|µs$/);
  });

  it('shows the error of a call, and how long it took', async () => {
    server.answer = () => json({ error: 'ValueError: no' }, 500);
    show(adder);
    await choose('adder', 'try');
    await act(() => {
      button('Infer').click();
    });
    expect(find('[role="alert"]').textContent).toBe('ValueError: no');
    expect(find('form [role="status"]').textContent).toMatch(/ms$|µs$/);
  });

  it('dumps the stacks of an instance when asked to', async () => {
    server.answer = () => json({ stack: `Thread 1\n ${HOSTILE}`, request: 'r-9', since_s: 3 });
    show(adder);
    await choose('adder_0', 'stack');
    expect(server.requests).toHaveLength(0);
    await act(() => {
      button('Dump the stacks').click();
    });
    expect(find('pre').textContent).toBe(`Thread 1\n ${HOSTILE}`);
    expect(host.textContent).toContain('r-9');
    expect(host.querySelector('img')).toBeNull();
  });

  it('says that the engine is down and lets nothing be changed meanwhile', async () => {
    show(adder);
    await choose('adder');
    snapshot = { status: statusOf(adder), problem: 'It crashed.' };
    React.act(draw);
    expect(find('[role="status"]').textContent).toContain('It crashed.');
    expect([button('Restart').disabled, button('Unload').disabled, button('Copy curl').disabled]).toEqual([
      true,
      true,
      false,
    ]);
    expect(find('.jp-PyServe-engine').textContent).toContain('unknown');
    await act(() => {
      button('Start it or try again').click();
    });
    expect(actions.refresh).toHaveBeenCalled();
  });

  it('tells a beginner what to do', () => {
    show();
    expect(host.textContent).toContain('%pyserve deploy');
  });
});
