/**
 * The engine's event messages applied to the last known status. Pure: values in, values out; what did not change stays
 * the same object, so that whoever compares by identity draws nothing anew.
 */

import {
  type IEngineStatus,
  type IInstanceStatus,
  type IModelStatus,
  isRecord,
  isStatus,
  type IStatus,
} from '../status';

type Changes = Readonly<Record<string, unknown>>;

export type Message =
  | { readonly type: 'snapshot'; readonly seq: number; readonly status: IStatus }
  | { readonly type: 'delta'; readonly seq: number; readonly engine: Changes; readonly models: Changes }
  | { readonly type: 'ping'; readonly seq: number };

/** A message as it came over the socket; null when it is nothing that is known here. */
export function parseMessage(text: string): Message | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value)) {
    return null;
  }
  const seq = typeof value.seq === 'number' ? value.seq : 0;
  if (value.type === 'snapshot' && isStatus(value.status)) {
    return { type: 'snapshot', seq, status: value.status };
  }
  if (value.type === 'delta') {
    return { type: 'delta', seq, engine: record(value.engine), models: record(value.models) };
  }
  return value.type === 'ping' ? { type: 'ping', seq } : null;
}

/** The status after a message; null while no snapshot has come. */
export function applyMessage(status: IStatus | null, message: Message): IStatus | null {
  if (message.type === 'snapshot') {
    return message.status;
  }
  if (message.type === 'ping' || status === null) {
    return status;
  }
  return {
    engine:
      Object.keys(message.engine).length > 0 ? merged<IEngineStatus>(status.engine, message.engine) : status.engine,
    models: applied(status.models, message.models, MODELS),
  };
}

function applyModel(model: IModelStatus, changes: Changes): IModelStatus {
  const { instances, ...members } = changes;
  const changed = merged<IModelStatus>(model, members);
  return { ...changed, instances: applied(changed.instances, record(instances), INSTANCES) };
}

function merged<Row extends object>(row: Row, changes: Changes): Row {
  return { ...row, ...changes };
}

interface INamed {
  readonly name: string;
}

interface IRowRules<Row> {
  readonly apply: (row: Row, changes: Changes) => Row;
  /** What a row has before anything is known of it. */
  readonly empty: Omit<Row, 'name'>;
}

const INSTANCES: IRowRules<IInstanceStatus> = {
  apply: merged,
  empty: {
    version: '',
    pid: null,
    state: '',
    kind: '',
    requests: 0,
    failures: 0,
    restarts: 0,
    busy_since_s: null,
    current_request: null,
    last_error: null,
  },
};

const MODELS: IRowRules<IModelStatus> = {
  apply: applyModel,
  empty: { state: '', reason: '', versions: [], instances: [], inputs: [], owner: null },
};

/** Rows by name: null takes one away, a new name adds one. */
function applied<Row extends INamed>(
  rows: readonly Row[],
  changes: Changes,
  { apply, empty }: IRowRules<Row>,
): readonly Row[] {
  const names = Object.keys(changes);
  if (names.length === 0) {
    return rows;
  }
  const left = new Set(names);
  const kept: Row[] = [];
  for (const row of rows) {
    const change = left.delete(row.name) ? changes[row.name] : undefined;
    if (change === undefined) {
      kept.push(row);
    } else if (change !== null) {
      kept.push(apply(row, record(change)));
    }
  }
  for (const name of left) {
    if (isRecord(changes[name])) {
      kept.push(apply({ ...empty, name } as Row, changes[name]));
    }
  }
  return left.size > 0 ? kept.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)) : kept;
}

function record(value: unknown): Changes {
  return isRecord(value) ? value : {};
}
