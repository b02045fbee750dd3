import {
  formatBytes,
  formatMs,
  formatNumber,
  formatPercent,
  formatSeconds,
  shown,
} from '../../../../jupyter_pyserve/notebook/widgets/format.js';
import examples from '../../../../tests/unit/notebook/figures.json';

const FORMATS = {
  bytes: formatBytes,
  number: formatNumber,
  percent: formatPercent,
  ms: formatMs,
  seconds: formatSeconds,
};

describe.each(Object.entries(FORMATS))('%s', (kind, format) => {
  const rows = examples[kind as keyof typeof examples] as [number, string][];

  it.each(rows)('%d is %s', (value, text) => {
    expect(format(value)).toBe(text);
  });
});

test('what is not known is not shown', () => {
  expect([shown(null, formatNumber), shown(undefined, formatNumber), shown(0, formatNumber)]).toEqual(['', '', '0']);
});
