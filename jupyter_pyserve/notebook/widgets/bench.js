/**
 * A benchmark: progress, a table, and latency over throughput.
 */

import { attend, element, formatNumber, shape, write } from './base.js';

const WIDTH = 480;
const HEIGHT = 240;
const MARGIN = { left: 48, right: 12, top: 20, bottom: 32 };
const PERCENTILES = ['p50', 'p90', 'p99'];
const HEADINGS = ['requests at once', 'per second', 'p50 ms', 'p90 ms', 'p99 ms', 'requests', 'failures'];

/** Places of the levels in the plot, and where its axes end. */
export function layout(levels) {
  const answered = levels.filter(level => level.p50_ms !== null);
  const xEnd = Math.max(0, ...answered.map(level => level.throughput)) || 1;
  const yEnd = Math.max(0, ...answered.flatMap(level => PERCENTILES.map(name => level[`${name}_ms`]))) || 1;
  const x = value => MARGIN.left + ((WIDTH - MARGIN.left - MARGIN.right) * value) / xEnd;
  const y = value => HEIGHT - MARGIN.bottom - ((HEIGHT - MARGIN.top - MARGIN.bottom) * value) / yEnd;
  const curves = PERCENTILES.map(name => answered.map(level => [x(level.throughput), y(level[`${name}_ms`])]));
  return { answered, curves, xEnd, yEnd, x, y };
}

function drawPlot(picture, levels) {
  const { answered, curves, xEnd, yEnd, x, y } = layout(levels);
  const label = (at, down, text, anchor = 'middle') => shape('text', { x: at, y: down, 'text-anchor': anchor }, text);
  const grid = [0, 0.5, 1].flatMap(share => [
    shape('line', { class: 'pyserve-grid', x1: x(0), x2: x(xEnd), y1: y(yEnd * share), y2: y(yEnd * share) }),
    label(MARGIN.left - 4, y(yEnd * share) + 3, formatNumber(yEnd * share), 'end'),
    label(x(xEnd * share), HEIGHT - 18, formatNumber(Math.round(xEnd * share)), share === 1 ? 'end' : 'middle'),
  ]);
  const lines = curves.flatMap((curve, index) => [
    shape('polyline', { class: `pyserve-line pyserve-line-${index}`, points: curve.map(at => at.join(',')).join(' ') }),
    ...curve.map(([cx, cy]) => shape('circle', { class: `pyserve-dot-${index}`, cx, cy, r: 3 })),
    shape('text', { class: `pyserve-dot-${index}`, x: MARGIN.left + 30 + 44 * index, y: 11 }, PERCENTILES[index]),
  ]);
  const points = curves[0].map(([cx, cy], index) => label(cx, cy - 6, String(answered[index].concurrency)));
  const words = answered.map(level => `${level.concurrency}: ${formatNumber(level.throughput)}/s`).join(', ');
  picture.setAttribute('aria-label', `Latency over requests per second. ${words}`);
  picture.replaceChildren(
    ...grid,
    label((WIDTH + MARGIN.left) / 2, HEIGHT - 4, 'requests per second'),
    label(MARGIN.left - 4, 11, 'ms', 'end'),
    ...lines,
    ...points,
  );
}

function render({ model, el }) {
  const title = element('strong');
  const status = element('span', { class: 'pyserve-detail', role: 'status' });
  const cancel = element('button', { type: 'button', class: 'pyserve-button' }, 'Cancel');
  const again = element('button', { type: 'button', class: 'pyserve-button', hidden: true }, 'Measure again');
  const bar = element('progress', { max: 1, 'aria-label': 'Progress' });
  const problem = element('div', { class: 'pyserve-problem', role: 'alert' });
  const body = element('tbody');
  const head = element('tr', {}, ...HEADINGS.map(text => element('th', { scope: 'col' }, text)));
  const table = element('table', {}, element('thead', {}, head), body);
  const picture = shape('svg', { class: 'pyserve-curve', role: 'img', viewBox: `0 0 ${WIDTH} ${HEIGHT}` });
  const root = element('div', { class: 'pyserve-live pyserve-bench' });
  root.append(element('div', { class: 'pyserve-buttons' }, title, bar, cancel, again, status), problem, table, picture);
  el.append(root);

  let drawn = -1;
  const attention = attend(model, root);
  cancel.addEventListener('click', () => {
    cancel.disabled = true;
    model.send({ type: 'cancel' });
  });
  again.addEventListener('click', () => model.send({ type: 'start' }));

  const tabulate = levels => {
    const rows = levels.map(level => {
      const figures = [
        level.concurrency,
        formatNumber(level.throughput),
        ...PERCENTILES.map(name => (level[`${name}_ms`] === null ? '' : level[`${name}_ms`].toFixed(3))),
        formatNumber(level.requests),
        formatNumber(level.failures),
      ];
      return element('tr', {}, ...figures.map(text => element('td', {}, String(text))));
    });
    body.replaceChildren(...rows);
  };
  const heard = message => {
    if (message.type !== 'state') {
      return;
    }
    write(title, message.name);
    bar.value = message.running ? message.share : 1;
    bar.hidden = cancel.hidden = !message.running;
    again.hidden = message.running;
    cancel.disabled = cancel.disabled && message.running;
    const words = message.running
      ? `${Math.round(message.share * 100)} %, ${message.concurrency ?? 1} at once`
      : [message.via && `over ${message.via}`, message.note].filter(Boolean).join(', ');
    write(status, words);
    const failed = message.levels.filter(level => level.failures);
    const failures = failed.map(level => `${level.failures} failed with ${level.concurrency} at once: ${level.error}`);
    write(problem, [message.error, ...failures].filter(Boolean).join('\n'));
    table.hidden = message.levels.length === 0;
    picture.toggleAttribute('hidden', message.levels.length === 0);
    if (message.levels.length !== drawn || !message.running) {
      drawn = message.levels.length;
      tabulate(message.levels);
      drawPlot(picture, message.levels);
    }
  };
  model.on('msg:custom', heard);
  return () => {
    model.off('msg:custom', heard);
    attention.end();
  };
}

export default { render };
