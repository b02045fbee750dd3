/**
 * The monitor's small pictures: lines over time, and bars of counts.
 */

import { element, shape, write } from './dom.js';
import { formatNumber, shown } from './format.js';

const PLOT = { width: 200, height: 40 };
const SPAN_S = 120;
const MAX_BARS = 12;

/**
 * A moment in seconds, then figures.
 *
 * @typedef {(number | null)[]} Point
 */

/**
 * The points of a polyline, of what is known of a column.
 *
 * @param {Point[]} points
 * @param {number} column
 * @param {{ width: number, height: number, from: number, to: number, peak: number }} area
 */
export function linePoints(points, column, { width, height, from, to, peak }) {
  const span = to - from || 1;
  return points
    .flatMap(point => {
      const [x, y] = [point[0] ?? 0, point[column] ?? null];
      if (y === null || x < from) {
        return [];
      }
      const across = (width * (x - from)) / span;
      const down = height - 2 - (peak > 0 ? (height - 6) * (y / peak) : 0);
      return [`${across.toFixed(1)},${down.toFixed(1)}`];
    })
    .join(' ');
}

/** @param {{ title: string, columns: number[], format: (value: number) => string }} about */
export function makePlot({ title, columns, format }) {
  const lines = columns.map((_, index) => shape('polyline', { class: `pyserve-line pyserve-line-${index}` }));
  const now = element('strong');
  const { width, height } = PLOT;
  const picture = shape(
    'svg',
    { role: 'img', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none' },
    ...lines,
  );
  /** @type {(points: Point[], time_s: number) => void} */
  const draw = (points, time_s) => {
    const peak = Math.max(0, ...points.flatMap(point => columns.map(column => point[column] ?? 0)));
    const last = points.at(-1) ?? [];
    const figures = columns.map(column => shown(last[column], format)).filter(Boolean);
    const words = figures.join(', ');
    write(now, words);
    picture.setAttribute('aria-label', `${title}: ${words || 'nothing yet'}`);
    const area = { ...PLOT, from: time_s - SPAN_S, to: time_s, peak };
    columns.forEach((column, index) => lines[index]?.setAttribute('points', linePoints(points, column, area)));
  };
  const node = element('figure', {}, element('figcaption', {}, element('span', {}, title), now), picture);
  return { node, draw };
}

export function makeBars() {
  const { width, height } = PLOT;
  const picture = shape('svg', { role: 'img', viewBox: `0 0 ${width} ${height}` });
  let drawn = '';
  /** @param {Record<string, number>} sizes how often each came */
  const draw = sizes => {
    const bars = Object.entries(sizes)
      .sort(([one], [other]) => Number(one) - Number(other))
      .slice(-MAX_BARS)
      .map(([size, count]) => ({ size, count, words: `${size}: ${formatNumber(count)} times` }));
    const words = bars.map(bar => bar.words).join(', ') || 'nothing yet';
    if (words === drawn) {
      return;
    }
    drawn = words;
    const most = Math.max(1, ...bars.map(({ count }) => count));
    picture.setAttribute('aria-label', `Batch sizes: ${words}`);
    picture.replaceChildren(
      ...bars.map((bar, index) => {
        const high = Math.max(1, (height - 12) * (bar.count / most));
        const x = index * 16;
        return shape(
          'g',
          {},
          shape('title', {}, bar.words),
          shape('rect', { class: 'pyserve-bar', x: x + 1, y: height - 11 - high, width: 13, height: high }),
          shape('text', { x: x + 7.5, y: height - 1, 'text-anchor': 'middle' }, bar.size),
        );
      }),
    );
  };
  const node = element('figure', {}, element('figcaption', {}, element('span', {}, 'Batch sizes')), picture);
  return { node, draw };
}
