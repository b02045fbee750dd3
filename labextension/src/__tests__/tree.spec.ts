import { findRow, modelKey, moved, rowsOf } from '../state/tree';
import type { IModelStatus } from '../status';
import { adder, instance, statusOf } from './samples';

const NOTHING_CHOSEN = new Map<string, boolean>();

function named(rows: ReturnType<typeof rowsOf>): string[] {
  return rows.map(row =>
    row.type === 'model' ? row.model.name : row.type === 'version' ? `v${row.version.version}` : row.instance.name,
  );
}

function many(count: number): IModelStatus[] {
  return Array.from({ length: count }, (_, index) => ({ ...adder, name: `m${index}` }));
}

describe('the rows of the tree', () => {
  it('have each instance below its version', () => {
    const second = { ...instance, name: 'adder_0_new', version: '2' };
    const versions = ['1', '2'].map(version => ({ version, state: 'READY', reason: '' }));
    const rows = rowsOf(statusOf({ ...adder, versions, instances: [instance, second] }), NOTHING_CHOSEN);
    expect(named(rows)).toEqual(['adder', 'v1', 'adder_0', 'v2', 'adder_0_new']);
    expect(rows.map(row => [row.level, row.position, row.siblings])).toEqual([
      [1, 1, 1],
      [2, 1, 2],
      [3, 1, 1],
      [2, 2, 2],
      [3, 1, 1],
    ]);
  });

  it('are open while they are few, closed when they are many, and always as the user chose', () => {
    expect(rowsOf(statusOf(...many(5)), NOTHING_CHOSEN)).toHaveLength(15);
    expect(rowsOf(statusOf(...many(500)), NOTHING_CHOSEN)).toHaveLength(500);
    const chosen = new Map([[modelKey('m1'), true]]);
    expect(named(rowsOf(statusOf(...many(500)), chosen)).slice(0, 5)).toEqual(['m0', 'm1', 'v1', 'adder_0', 'm2']);
    const closed = new Map([[modelKey('m1'), false]]);
    expect(rowsOf(statusOf(...many(5)), closed)).toHaveLength(13);
  });

  it('have nothing to open where nothing is below', () => {
    const rows = rowsOf(statusOf({ ...adder, instances: [] }, { ...adder, name: 'b', versions: [] }), NOTHING_CHOSEN);
    expect(rows.map(row => row.expanded)).toEqual([true, null, null]);
  });

  it('differ even if names look like paths', () => {
    const rows = rowsOf(statusOf({ ...adder, name: 'a/1' }, { ...adder, name: 'a' }), NOTHING_CHOSEN);
    expect(new Set(rows.map(row => row.key)).size).toBe(rows.length);
  });

  it.each([
    ['ADD', ['adder']],
    ['demo', ['streamer']],
    ['4242', ['adder']],
    ['nothing', []],
  ])('can be filtered: %s', (filter, names) => {
    const streamer = {
      ...adder,
      name: 'streamer',
      owner: 'demo.ipynb',
      instances: [{ ...instance, name: 's', pid: 1 }],
    };
    const rows = rowsOf(statusOf(adder, streamer), NOTHING_CHOSEN, filter);
    expect(rows.filter(row => row.type === 'model').map(row => row.model.name)).toEqual(names);
  });

  it('lead from one to the next and stop at the ends', () => {
    const rows = rowsOf(statusOf(adder), NOTHING_CHOSEN);
    const keys = rows.map(row => row.key);
    expect(moved(rows, keys[0]!, 'down', 8)).toBe(keys[1]);
    expect(moved(rows, keys[0]!, 'up', 8)).toBe(keys[0]);
    expect(moved(rows, keys[0]!, 'page-down', 8)).toBe(keys[2]);
    expect(moved(rows, null, 'down', 8)).toBe(keys[0]);
    expect(moved(rows, keys[0]!, 'last', 8)).toBe(keys[2]);
    expect(moved([], null, 'down', 8)).toBeNull();
  });

  it('are found by their key, and the model in place of what is gone', () => {
    const key = rowsOf(statusOf(adder), NOTHING_CHOSEN)[2]!.key;
    expect(findRow(statusOf(adder), key)).toMatchObject({ type: 'instance', instance });
    expect(findRow(statusOf({ ...adder, instances: [] }), key)).toMatchObject({ type: 'model' });
    expect(findRow(statusOf(), key)).toBeNull();
    expect(findRow(statusOf(adder), null)).toBeNull();
  });
});
