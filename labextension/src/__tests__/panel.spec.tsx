import { nullTranslator } from '@jupyterlab/translation';
import * as React from 'react';
import { createRoot, type Root } from 'react-dom/client';

import type { IActions } from '../panel/actions';
import { PanelView } from '../panel/view';
import type { ISnapshot } from '../tokens';
import { adder, instance, statusOf } from './samples';

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

const trans = nullTranslator.load('jupyter_pyserve');

function fakeActions(): { [name in keyof IActions]: jest.Mock } {
  const asynchronous = (): jest.Mock => jest.fn(() => Promise.resolve());
  return { refresh: asynchronous(), unload: asynchronous(), restart: asynchronous(), copyCurl: jest.fn() };
}

describe('PanelView', () => {
  let host: HTMLElement;
  let root: Root;
  let actions: ReturnType<typeof fakeActions>;

  beforeEach(() => {
    host = document.body.appendChild(document.createElement('div'));
    root = createRoot(host);
    actions = fakeActions();
  });

  afterEach(() => {
    React.act(() => {
      root.unmount();
    });
    host.remove();
  });

  function show(snapshot: ISnapshot): void {
    React.act(() => {
      root.render(<PanelView snapshot={snapshot} actions={actions} trans={trans} />);
    });
  }

  function button(label: string): HTMLButtonElement {
    return host.querySelector<HTMLButtonElement>(`button[aria-label="${label}"]`)!;
  }

  it('shows model, version and instance', () => {
    show({ status: statusOf(adder), problem: null });
    expect(host.textContent).toContain('version 1');
    expect(host.querySelector('.jp-PyServe-instance')!.textContent).toBe(
      'adder_0READYpid 4242 · 7 requests · 1 restart',
    );
    expect(host.querySelector('.jp-PyServe-engine')!.textContent).toBe('Enginepid 99READY');
  });

  it('shows only the first line of an error, and all of it on hover', () => {
    const failing = { ...instance, last_error: 'ValueError: no\n  at line 3' };
    show({ status: statusOf({ ...adder, instances: [failing] }), problem: null });
    const failure = host.querySelector<HTMLElement>('.jp-PyServe-failure')!;
    expect([failure.textContent, failure.title]).toEqual(['ValueError: no', 'ValueError: no\n  at line 3']);
  });

  it('keeps instances with their version', () => {
    const second = { ...instance, name: 'adder_0_new', version: '2' };
    const versions = ['1', '2'].map(version => ({ version, state: 'READY', reason: '' }));
    show({ status: statusOf({ ...adder, versions, instances: [instance, second] }), problem: null });
    const lists = [...host.querySelectorAll('.jp-PyServe-instances')].map(list =>
      [...list.children].map(item => item.getAttribute('aria-label')),
    );
    expect(lists).toEqual([['adder_0'], ['adder_0_new']]);
  });

  it('keeps the end of a long instance name, and all of it for who asks', () => {
    const name = 'a_model_with_a_rather_long_name_1';
    show({ status: statusOf({ ...adder, instances: [{ ...instance, name }] }), problem: null });
    const item = host.querySelector<HTMLElement>('.jp-PyServe-instance')!;
    expect(item.getAttribute('aria-label')).toBe(name);
    expect(item.querySelector('.jp-PyServe-name')!.textContent).toBe('…_a_rather_long_name_1');
  });

  it('shows hostile names as text', () => {
    const name = '<img src=x onerror="window.pwned = 1">';
    const reason = '<script>window.pwned = 1</script>';
    show({ status: statusOf({ ...adder, name, reason, instances: [{ ...instance, name }] }), problem: reason });
    expect(host.querySelector('img, script')).toBeNull();
    expect(host.textContent).toContain(name);
    expect(host.textContent).toContain(reason);
  });

  it.each([
    ['Restart', 'restart'],
    ['Unload', 'unload'],
    ['Copy curl', 'copyCurl'],
  ] as const)('%s acts on its model', async (label, action) => {
    show({ status: statusOf(adder), problem: null });
    await React.act(async () => {
      button(label).click();
      await Promise.resolve();
    });
    expect(actions[action]).toHaveBeenCalledWith(adder);
  });

  it('says that the engine is down and lets nothing be changed meanwhile', () => {
    show({ status: statusOf(adder), problem: 'It crashed.' });
    expect(host.querySelector('[role="status"]')!.textContent).toContain('It crashed.');
    expect([button('Restart').disabled, button('Unload').disabled]).toEqual([true, true]);
    expect(host.querySelector('.jp-PyServe-engine')!.textContent).toContain('unknown');
  });

  it('tells a beginner what to do', () => {
    show({ status: statusOf(), problem: null });
    expect(host.textContent).toContain('%pyserve deploy');
  });
});
