/**
 * A benchmark: progress, a table, and latency over throughput.
 */

import { attend } from './attention.js';
import { element, makeButton, shape, write } from './dom.js';
import { formatMs, formatNumber, shown } from './format.js';

/**
 * @typedef {object} Level what was measured with so many requests at once
 * @property {number} concurrency
 * @property {number} throughput
 * @property {number | null} p50_ms
 * @property {number | null} p90_ms
 * @property {number | null} p99_ms
 * @property {number} requests
 * @property {number} failures
 * @property {string} error
 *
 * @typedef {object} State
 * @property {string} name
 * @property {boolean} running
 * @property {number} share
 * @property {number | null} concurrency
 * @property {Level[]} levels
 * @property {string} via
 * @property {string} note
 * @property {string} error
 */

const PICTURE = { width: 480, height: 240 };
const MARGIN = { left: 48, right: 12, top: 20, bottom: 32 };
const PERCENTILES = /** @type {const} */ (['p50', 'p90', 'p99']);
const HEADINGS = ['requests at once', 'per second', ...PERCENTILES, 'requests', 'failures'];

/**
 * Places of the levels in the plot, and where its axes end.
 *
 * @param {Level[]} levels
 */
export function layout(levels) {
  const answered = levels.filter(level => level.p50_ms !== null);
  /** @type {(level: Level) => number[]} */
  const latencies = level => PERCENTILES.map(name => level[`${name}_ms`] ?? 0);
  const xEnd = Math.max(0, ...answered.map(level => level.throughput)) || 1;
  const yEnd = Math.max(0, ...answered.flatMap(latencies)) || 1;
  const x = (/** @type {number} */ value) =>
    MARGIN.left + ((PICTURE.width - MARGIN.left - MARGIN.right) * value) / xEnd;
  const y = (/** @type {number} */ value) =>
    PICTURE.height - MARGIN.bottom - ((PICTURE.height - MARGIN.top - MARGIN.bottom) * value) / yEnd;
  const curves = PERCENTILES.map(name =>
    answered.map(level => ({ cx: x(level.throughput), cy: y(level[`${name}_ms`] ?? 0), level })),
  );
  return { answered, curves, xEnd, yEnd, x, y };
}

/** @type {(x: number, y: number, text: string, anchor?: string) => SVGTextElement} */
function label(x, y, text, anchor = 'middle') {
  return shape('text', { x, y, 'text-anchor': anchor }, text);
}

/**
 * @param {SVGElement} picture
 * @param {Level[]} levels
 */
function drawPlot(picture, levels) {
  const { answered, curves, xEnd, yEnd, x, y } = layout(levels);
  const grid = [0, 0.5, 1].flatMap(share => [
    shape('line', { class: 'pyserve-grid', x1: x(0), x2: x(xEnd), y1: y(yEnd * share), y2: y(yEnd * share) }),
    label(MARGIN.left - 4, y(yEnd * share) + 3, formatNumber(yEnd * share), 'end'),
    label(x(xEnd * share), PICTURE.height - 18, formatNumber(xEnd * share), share === 1 ? 'end' : 'middle'),
  ]);
  const lines = curves.flatMap((curve, index) => [
    shape('polyline', {
      class: `pyserve-line pyserve-line-${index}`,
      points: curve.map(({ cx, cy }) => `${cx},${cy}`).join(' '),
    }),
    ...curve.map(({ cx, cy }) => shape('circle', { class: `pyserve-dot-${index}`, cx, cy, r: 3 })),
    shape('text', { class: `pyserve-dot-${index}`, x: MARGIN.left + 30 + 44 * index, y: 11 }, PERCENTILES[index] ?? ''),
  ]);
  const points = (curves[0] ?? []).map(({ cx, cy, level }) => label(cx, cy - 6, String(level.concurrency)));
  const words = answered.map(level => `${level.concurrency}: ${formatNumber(level.throughput)}/s`).join(', ');
  picture.setAttribute('aria-label', `Latency over requests per second. ${words}`);
  picture.replaceChildren(
    ...grid,
    label((PICTURE.width + MARGIN.left) / 2, PICTURE.height - 4, 'requests per second'),
    label(MARGIN.left - 4, 11, 'ms', 'end'),
    ...lines,
    ...points,
  );
}

/** @param {Level} level */
function makeRow(level) {
  const figures = [
    String(level.concurrency),
    formatNumber(level.throughput),
    ...PERCENTILES.map(name => shown(level[`${name}_ms`], formatMs)),
    formatNumber(level.requests),
    formatNumber(level.failures),
  ];
  return element('tr', {}, ...figures.map(text => element('td', {}, text)));
}

/** @param {State} state */
function statusOf({ running, share, concurrency, via, note }) {
  if (running) {
    return `${Math.round(share * 100)} %, ${concurrency ?? 1} at once`;
  }
  return [via && `over ${via}`, note].filter(Boolean).join(', ');
}

/** @param {State} state */
function problemsOf({ error, levels }) {
  const failed = levels.filter(level => level.failures > 0);
  const words = failed.map(level => `${level.failures} failed with ${level.concurrency} at once: ${level.error}`);
  return [error, ...words].filter(Boolean).join('\n');
}

/** @param {import('./attention.js').Place} place */
function render({ model, el }) {
  const title = element('strong');
  const status = element('span', { class: 'pyserve-detail', role: 'status' });
  const cancel = makeButton('Cancel');
  const again = makeButton('Measure again', { hidden: true });
  const bar = element('progress', { max: 1, 'aria-label': 'Progress' });
  const problem = element('div', { class: 'pyserve-problem', role: 'alert' });
  const body = element('tbody');
  const head = element('tr', {}, ...HEADINGS.map(text => element('th', { scope: 'col' }, text)));
  const table = element('table', {}, element('thead', {}, head), body);
  const { width, height } = PICTURE;
  const picture = shape('svg', { class: 'pyserve-curve', role: 'img', viewBox: `0 0 ${width} ${height}` });
  const top = element('div', { class: 'pyserve-buttons' }, title, bar, cancel, again, status);
  const root = element('div', { class: 'pyserve-live pyserve-bench' }, top, problem, table, picture);
  el.append(root);

  let drawn = -1;
  cancel.addEventListener('click', () => {
    cancel.disabled = true;
    model.send({ type: 'cancel' });
  });
  again.addEventListener('click', () => {
    model.send({ type: 'start' });
  });

  /** @param {{ type: string } & State} message */
  const heard = message => {
    if (message.type !== 'state') {
      return;
    }
    const { running, levels } = message;
    write(title, message.name);
    bar.value = running ? message.share : 1;
    bar.hidden = cancel.hidden = !running;
    again.hidden = running;
    cancel.disabled &&= running;
    write(status, statusOf(message));
    write(problem, problemsOf(message));
    table.hidden = levels.length === 0;
    picture.toggleAttribute('hidden', levels.length === 0);
    if (levels.length !== drawn || !running) {
      drawn = levels.length;
      body.replaceChildren(...levels.map(makeRow));
      drawPlot(picture, levels);
    }
  };
  return attend(model, root, heard);
}

export default { render };
