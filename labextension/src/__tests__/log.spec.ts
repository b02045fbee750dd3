import type { ILogRecord } from '../client/api';
import { appended, filtered, MAX_LINES, plainText, requestsOf } from '../state/log';

function record(changes: Partial<ILogRecord> = {}): ILogRecord {
  return { time: 0, instance: 'm_0', version: '1', stream: 'stdout', level: 'INFO', text: 'line', ...changes };
}

const EVERYTHING = { instance: '', level: '', search: '', request: '' };

describe('log lines', () => {
  it.each([
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u001b]0;title\u0007text', 'text'],
    ['\u001b]8;;http://x\u001b\\link', 'link'],
    ['a\tb', 'a\tb'],
    ['a\u0008b\u0000', 'a\ufffdb\ufffd'],
    ['\u202egnp.exe', '\ufffdgnp.exe'],
    ['<b>&amp;', '<b>&amp;'],
  ])('are text only: %j', (text, expected) => {
    expect(plainText(text)).toBe(expected);
  });

  it('are added to those that are there, and bounded', () => {
    const first = appended([], { records: [record()], next: 1 }, null);
    expect(appended(first, { records: [record({ text: 'b' })], next: 2 }, 1).map(({ text }) => text)).toEqual([
      'line',
      'b',
    ]);
    expect(appended(first, { records: [], next: 1 }, 1)).toBe(first);
    const flood = Array.from({ length: MAX_LINES + 5 }, (_, index) => record({ text: String(index) }));
    const kept = appended(first, { records: flood, next: 9 }, 1);
    expect([kept.length, kept[0]!.text]).toEqual([MAX_LINES, '5']);
  });

  it('replace those that are there where the server does not count', () => {
    expect(appended([record()], { records: [record({ text: 'new' })], next: null }, null)).toHaveLength(1);
  });

  it.each([
    [{ instance: 'm_1' }, ['b']],
    [{ level: 'WARNING' }, ['b', 'c']],
    [{ level: 'INFO' }, ['a', 'b', 'c']],
    [{ search: 'A' }, ['a']],
    [{ request: 'r2' }, ['c']],
    [{}, ['a', 'b', 'c', 'd']],
  ])('are those that are meant: %j', (query, texts) => {
    const records = [
      record({ text: 'a' }),
      record({ text: 'b', instance: 'm_1', level: '' }),
      record({ text: 'c', level: 'ERROR', request: 'r1,r2' }),
      record({ text: 'd', level: 'VERBOSE' }),
    ];
    expect(filtered(records, { ...EVERYTHING, ...query }).map(({ text }) => text)).toEqual(texts);
  });

  it('belong to requests', () => {
    expect(requestsOf(record({ request: 'a,b' }))).toEqual(['a', 'b']);
    expect(requestsOf(record())).toEqual([]);
  });
});
