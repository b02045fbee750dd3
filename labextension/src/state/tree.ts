/**
 * The tree of models, versions and instances as the flat list of rows that is on the screen. Pure.
 */

import type { IInstanceStatus, IModelStatus, IStatus, IVersionStatus } from '../status';

export interface IRowBase {
  /** What stays the same while figures change; unique in the tree. */
  readonly key: string;
  readonly level: 1 | 2 | 3;
  readonly parent: string | null;
  readonly expanded: boolean | null;
  readonly position: number;
  readonly siblings: number;
  readonly model: IModelStatus;
}

export interface IModelRow extends IRowBase {
  readonly type: 'model';
}

export interface IVersionRow extends IRowBase {
  readonly type: 'version';
  readonly version: IVersionStatus;
  readonly instances: number;
}

export interface IInstanceRow extends IRowBase {
  readonly type: 'instance';
  readonly instance: IInstanceStatus;
}

export type Row = IModelRow | IVersionRow | IInstanceRow;

/** With more rows than this, models start closed. */
const MANY_ROWS = 40;

export type Expanded = ReadonlyMap<string, boolean>;

export function modelKey(model: string): string {
  return JSON.stringify([model]);
}

export function rowsOf(status: IStatus, expanded: Expanded, filter = ''): readonly Row[] {
  const models = status.models.filter(model => matches(model, filter.trim().toLowerCase()));
  const total = models.reduce((sum, model) => sum + 1 + model.versions.length + model.instances.length, 0);
  const rows: Row[] = [];
  models.forEach((model, index) => {
    const key = modelKey(model.name);
    const open = expanded.get(key) ?? total <= MANY_ROWS;
    const childless = model.versions.length === 0;
    rows.push({
      type: 'model',
      key,
      level: 1,
      parent: null,
      expanded: childless ? null : open,
      position: index + 1,
      siblings: models.length,
      model,
    });
    if (open) {
      addVersions(rows, model, key, expanded);
    }
  });
  return rows;
}

function addVersions(rows: Row[], model: IModelStatus, parent: string, expanded: Expanded): void {
  model.versions.forEach((version, index) => {
    const key = JSON.stringify([model.name, version.version]);
    const instances = model.instances.filter(instance => instance.version === version.version);
    const open = expanded.get(key) ?? true;
    rows.push({
      type: 'version',
      key,
      level: 2,
      parent,
      expanded: instances.length === 0 ? null : open,
      position: index + 1,
      siblings: model.versions.length,
      model,
      version,
      instances: instances.length,
    });
    if (open) {
      instances.forEach((instance, place) => {
        rows.push({
          type: 'instance',
          key: JSON.stringify([model.name, version.version, instance.name]),
          level: 3,
          parent: key,
          expanded: null,
          position: place + 1,
          siblings: instances.length,
          model,
          instance,
        });
      });
    }
  });
}

function matches(model: IModelStatus, filter: string): boolean {
  return (
    filter === '' ||
    model.name.toLowerCase().includes(filter) ||
    (model.owner ?? '').toLowerCase().includes(filter) ||
    model.instances.some(instance => instance.name.toLowerCase().includes(filter) || String(instance.pid) === filter)
  );
}

/** The row that a key means now; its model's where it is gone or folded away. */
export function findRow(status: IStatus, key: string | null): Row | null {
  if (key === null) {
    return null;
  }
  const [name] = JSON.parse(key) as [string];
  const model = status.models.find(item => item.name === name);
  if (model === undefined) {
    return null;
  }
  const all: Expanded = new Map([[modelKey(name), true]]);
  const rows = rowsOf({ ...status, models: [model] }, all);
  return rows.find(row => row.key === key) ?? rows[0] ?? null;
}

export type Move = 'up' | 'down' | 'first' | 'last' | 'page-up' | 'page-down';

/** Where the arrow keys lead from a row. */
export function moved(rows: readonly Row[], key: string | null, move: Move, page: number): string | null {
  const last = rows.length - 1;
  const from = rows.findIndex(row => row.key === key);
  const to = {
    up: from - 1,
    down: from + 1,
    first: 0,
    last,
    'page-up': from - page,
    'page-down': from + page,
  }[move];
  return rows[Math.min(Math.max(to, 0), last)]?.key ?? null;
}
