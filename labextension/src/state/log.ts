/**
 * The log lines that are shown: bounded, in order, without escape sequences. Pure.
 */

import type { ILogPage, ILogQuery, ILogRecord } from '../client/api';

export const MAX_LINES = 2000;

const LEVELS: readonly string[] = ['VERBOSE', 'INFO', 'WARNING', 'ERROR'];

// Colours, cursor movements, window titles; then whatever else would not print.
// eslint-disable-next-line no-control-regex
const ESCAPES = /\u001b(?:\[[0-?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[@-Z\\-_])/g;
// Direction marks too: they would make a line read as another one.
// eslint-disable-next-line no-control-regex
const UNPRINTABLE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

export function plainText(text: string): string {
  return text.replace(ESCAPES, '').replace(UNPRINTABLE, '\ufffd');
}

/** What is kept after a page came: appended where the server counts its lines, else replaced. */
export function appended(kept: readonly ILogRecord[], page: ILogPage, after: number | null): readonly ILogRecord[] {
  if (after !== null && page.next !== null && page.records.length === 0) {
    return kept;
  }
  const all = after !== null && page.next !== null ? [...kept, ...page.records] : page.records;
  return all.length > MAX_LINES ? all.slice(-MAX_LINES) : all;
}

/** The lines that a query means, should the server not have chosen them already. */
export function filtered(records: readonly ILogRecord[], query: ILogQuery): readonly ILogRecord[] {
  const search = query.search.toLowerCase();
  const least = LEVELS.indexOf(query.level);
  return records.filter(
    record =>
      (query.instance === '' || record.instance === query.instance) &&
      (search === '' || record.text.toLowerCase().includes(search)) &&
      (query.request === '' || requestsOf(record).includes(query.request)) &&
      (least < 0 || severity(record.level) >= least),
  );
}

/** A level that is not known here is better shown than lost. */
function severity(level: string): number {
  const known = LEVELS.indexOf(level);
  return known < 0 ? LEVELS.length : known;
}

/** The ids of the requests that a line belongs to. */
export function requestsOf(record: ILogRecord): readonly string[] {
  return record.request ? record.request.split(',').map(id => id.trim()) : [];
}
