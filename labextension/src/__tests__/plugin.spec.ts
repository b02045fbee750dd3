import { RunningSessionManagers } from '@jupyterlab/running';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { Signal } from '@lumino/signaling';

import { contentsPath, insertCode } from '../panel/notebook';
import { killQuestion, unloadQuestion } from '../panel/questions';
import { settingValues } from '../preferences';
import { addRunningSection } from '../running';
import type { IStatusStore } from '../tokens';
import { adder, instance, statusOf } from './samples';

const trans = nullTranslator.load('jupyter_pyserve');

describe('settings', () => {
  function read(values: Record<string, unknown>): ReturnType<typeof settingValues> {
    const settings = { get: (key: string) => ({ composite: values[key], user: undefined }) };
    return settingValues(settings as unknown as ISettingRegistry.ISettings);
  }

  it.each([
    [
      { interval: 2, showHostTotals: false, confirm: false },
      { intervalMs: 2000, showHostTotals: false, confirm: false },
    ],
    [{ interval: 0.01 }, { intervalMs: 1000, showHostTotals: true, confirm: true }],
    [{ interval: 99 }, { intervalMs: 5000, showHostTotals: true, confirm: true }],
    [{ interval: 'x' }, { intervalMs: 1000, showHostTotals: true, confirm: true }],
  ])('are used with care: %j', (values, expected) => {
    expect(read(values)).toEqual(expected);
  });
});

describe('the running-sessions section', () => {
  it('lists models with processes, and opens and unloads them', () => {
    const managers = new RunningSessionManagers();
    const idle = { ...adder, name: 'idle', instances: [] };
    const store = { snapshot: { status: statusOf(adder, idle), problem: null } } as IStatusStore;
    const [open, unload, unloadAll] = [jest.fn(), jest.fn(() => Promise.resolve()), jest.fn(() => Promise.resolve())];
    Object.assign(store, { changed: new Signal(store), refresh: jest.fn(() => Promise.resolve()) });
    addRunningSection({ managers, store, trans, open, unload, unloadAll });
    const section = managers.items()[0]!;
    const items = section.running({ mode: 'list' });
    expect(items.map(item => item.label())).toEqual(['adder']);
    items[0]!.open!();
    items[0]!.shutdown!();
    section.shutdownAll();
    expect(open).toHaveBeenCalledWith(adder);
    expect(unload).toHaveBeenCalledWith(adder);
    expect(unloadAll).toHaveBeenCalledWith([adder]);
    expect((section.shutdownAllConfirmationText as () => string)()).toContain('adder');
  });
});

describe('questions', () => {
  it('name the processes that end', () => {
    const many = Array.from({ length: 6 }, (_, index) => ({ ...instance, name: `adder_${index}`, pid: index }));
    expect(unloadQuestion(adder, trans).body).toContain('adder_0 (pid 4242)');
    const { body } = unloadQuestion({ ...adder, instances: many }, trans);
    expect(body).toContain('6 processes');
    expect(body).toContain('adder_3 (pid 3) and 2 others');
  });

  it('name the request that fails', () => {
    expect(killQuestion(instance, trans).body).toContain('no request');
    expect(killQuestion({ ...instance, busy_since_s: 1 }, trans).body).toContain('The request that it is executing');
    const busy = { ...instance, busy_since_s: 1, current_request: 'r-7' };
    expect(killQuestion(busy, trans).body).toContain('Request r-7');
  });
});

describe('the notebook', () => {
  it('gets a new cell with the code, and nothing is run', async () => {
    const commands = new CommandRegistry();
    const executed: unknown[] = [];
    for (const id of ['notebook:insert-cell-below', 'notebook:replace-selection', 'notebook:run-cell']) {
      commands.addCommand(id, { execute: args => executed.push([id, args]) });
    }
    await expect(insertCode(commands, 'x = 1')).resolves.toBe(true);
    expect(executed).toEqual([
      ['notebook:insert-cell-below', {}],
      ['notebook:replace-selection', { text: 'x = 1' }],
    ]);
  });

  it('is left alone where none is active', async () => {
    const commands = new CommandRegistry();
    await expect(insertCode(commands, 'x')).resolves.toBe(false);
    commands.addCommand('notebook:insert-cell-below', { isEnabled: () => false, execute: () => undefined });
    await expect(insertCode(commands, 'x')).resolves.toBe(false);
  });

  it.each([
    ['books/a.ipynb', '/srv', 'books/a.ipynb'],
    ['/srv/books/a.ipynb', '/srv', 'books/a.ipynb'],
    ['/srvx/a.ipynb', '/srv', null],
    ['/home/me/nb/a.ipynb', '~/nb', 'a.ipynb'],
    ['/elsewhere/a.ipynb', '~/nb', null],
    ['', '/srv', null],
  ])('is found below the root of the server: %s in %s', (path, root, expected) => {
    expect(contentsPath(path, root)).toBe(expected);
  });
});
