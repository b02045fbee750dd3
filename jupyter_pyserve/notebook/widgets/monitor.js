/**
 * The monitor: a card for each model, with plots, and a line for each of its processes. Nodes stay; texts change.
 */

import {
  attend,
  element,
  formatBytes,
  formatMs,
  formatNumber,
  formatPercent,
  linePoints,
  shape,
  shown,
  write,
} from './base.js';

const WIDTH = 200;
const HEIGHT = 40;
const SPAN_S = 120;
const MAX_POINTS = 120;
const MAX_BARS = 12;
const [TIME, REQUESTS, P50, P99, CPU, MEMORY] = [0, 1, 2, 3, 4, 5];

const PLOTS = [
  { title: 'Requests', columns: [REQUESTS], format: value => `${formatNumber(value)}/s` },
  { title: 'p50, p99', columns: [P50, P99], format: formatMs },
  { title: 'Memory', columns: [MEMORY], format: formatBytes },
  { title: 'CPU', columns: [CPU], format: formatPercent },
];

const COLUMNS = [
  ['instance', row => row.name],
  ['state', row => (row.busy_s ? `${row.state} ${row.busy_s} s` : row.state)],
  ['pid', row => row.pid],
  ['requests', row => shown(row.requests, formatNumber)],
  ['failures', row => shown(row.failures, formatNumber)],
  ['p50', row => shown(row.p50_ms, formatMs)],
  ['p99', row => shown(row.p99_ms, formatMs)],
  ['memory', row => shown(row.memory, formatBytes)],
  ['CPU', row => shown(row.cpu, formatPercent)],
  ['GPU', row => shown(row.gpu, formatBytes)],
];

/** Takes a change of a model into what is known of it; `null` for a change means that it is gone. */
export function merge(models, changes) {
  for (const [name, change] of Object.entries(changes)) {
    if (change === null) {
      delete models[name];
      continue;
    }
    const model = (models[name] ??= { instances: {}, points: [] });
    const { instances, points, ...rest } = change;
    Object.assign(model, rest);
    for (const [id, row] of Object.entries(instances ?? {})) {
      if (row === null) {
        delete model.instances[id];
      } else {
        model.instances[id] = { ...model.instances[id], ...row };
      }
    }
    model.points = [...model.points, ...(points ?? [])].slice(-MAX_POINTS);
  }
  return models;
}

export function engineWords(engine) {
  const words = [`engine ${engine.state ?? ''}, pid ${engine.pid ?? ''}`];
  if (engine.cpu_percent !== null && engine.cpu_percent !== undefined) {
    words.push(`CPU ${formatPercent(engine.cpu_percent)}`, `memory ${shown(engine.pss_bytes, formatBytes)}`);
  }
  if (engine.host_cpu_percent !== null && engine.host_cpu_percent !== undefined) {
    const [used, total] = engine.host_memory;
    words.push(`machine: CPU ${formatPercent(engine.host_cpu_percent)}, ${formatBytes(used)} of ${formatBytes(total)}`);
  }
  return words.join(' · ');
}

function makePlot({ title, columns, format }) {
  const lines = columns.map((_, index) => shape('polyline', { class: `pyserve-line pyserve-line-${index}` }));
  const now = element('strong');
  const picture = shape(
    'svg',
    { role: 'img', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none' },
    ...lines,
  );
  const draw = (points, time_s) => {
    const peak = Math.max(0, ...points.flatMap(point => columns.map(column => point[column] ?? 0)));
    const last = points[points.length - 1];
    const words = last
      ? columns
          .map(column => shown(last[column], format))
          .filter(Boolean)
          .join(', ')
      : '';
    write(now, words);
    picture.setAttribute('aria-label', `${title}: ${words || 'nothing yet'}`);
    lines.forEach((line, index) => {
      const pairs = points.map(point => [point[TIME], point[columns[index]]]);
      line.setAttribute(
        'points',
        linePoints(pairs, { width: WIDTH, height: HEIGHT, from: time_s - SPAN_S, to: time_s, peak }),
      );
    });
  };
  const node = element('figure', {}, element('figcaption', {}, element('span', {}, title), now), picture);
  return { node, draw };
}

function makeBars() {
  const picture = shape('svg', { role: 'img', viewBox: `0 0 ${WIDTH} ${HEIGHT}` });
  let drawn = '';
  const draw = sizes => {
    const bars = Object.entries(sizes)
      .map(([size, count]) => [Number(size), count])
      .sort((a, b) => a[0] - b[0])
      .slice(-MAX_BARS);
    const words = bars.map(([size, count]) => `${size}: ${formatNumber(count)} times`).join(', ');
    if (words === drawn) {
      return;
    }
    drawn = words;
    const most = Math.max(1, ...bars.map(bar => bar[1]));
    picture.setAttribute('aria-label', `Batch sizes: ${words || 'nothing yet'}`);
    picture.replaceChildren(
      ...bars.map(([size, count], index) => {
        const height = Math.max(1, (HEIGHT - 12) * (count / most));
        const x = index * 16;
        return shape(
          'g',
          {},
          shape('title', {}, `${size}: ${formatNumber(count)} times`),
          shape('rect', { class: 'pyserve-bar', x: x + 1, y: HEIGHT - 11 - height, width: 13, height }),
          shape('text', { x: x + 7.5, y: HEIGHT - 1, 'text-anchor': 'middle' }, String(size)),
        );
      }),
    );
  };
  const node = element('figure', {}, element('figcaption', {}, element('span', {}, 'Batch sizes')), picture);
  return { node, draw };
}

function makeRow() {
  const cells = COLUMNS.map(([title], index) => element(index === 0 ? 'th' : 'td', { 'data-column': title }));
  cells[0].setAttribute('scope', 'row');
  const node = element('tr', {}, ...cells);
  const draw = row => {
    COLUMNS.forEach(([, text], index) => write(cells[index], text(row)));
    node.dataset.state = row.state ?? '';
    for (const [cell, field] of [
      [cells[7], 'memory'],
      [cells[8], 'cpu'],
      [cells[9], 'gpu'],
    ]) {
      const reason = row.why?.[field] ?? '';
      if (cell.title !== reason) {
        cell.title = reason;
      }
      if (reason && !cell.textContent) {
        write(cell, '–');
      }
    }
    cells[0].title = row.last_exit ? `the process before: ${row.last_exit}` : '';
  };
  return { node, draw };
}

function makeCard(name) {
  const state = element('span', { class: 'pyserve-state' });
  const words = element('span', { class: 'pyserve-detail' });
  const plots = PLOTS.map(makePlot);
  const bars = makeBars();
  const body = element('tbody');
  const head = element('tr', {}, ...COLUMNS.map(([title]) => element('th', { scope: 'col' }, title)));
  const notes = element('div', { class: 'pyserve-detail' });
  const rows = new Map();
  const node = element(
    'section',
    { 'aria-label': name },
    element('header', {}, element('strong', {}, name), state, words),
    element('div', { class: 'pyserve-plots' }, ...plots.map(plot => plot.node), bars.node),
    element('div', { class: 'pyserve-scroll' }, element('table', {}, element('thead', {}, head), body)),
    notes,
  );
  const draw = (model, time_s, changed) => {
    write(state, model.state);
    state.dataset.state = model.state ?? '';
    write(
      words,
      [
        model.reason,
        `${formatNumber(model.success ?? 0)} requests`,
        `${formatNumber(model.failure ?? 0)} failures`,
        `${model.queue_depth ?? 0} waiting`,
      ]
        .filter(Boolean)
        .join(', '),
    );
    plots.forEach(plot => plot.draw(model.points, time_s));
    bars.draw(model.batch_sizes ?? {});
    for (const [id, row] of Object.entries(changed ?? model.instances)) {
      if (row === null) {
        rows.get(id)?.node.remove();
        rows.delete(id);
        continue;
      }
      let line = rows.get(id);
      if (line === undefined) {
        line = makeRow();
        rows.set(id, line);
        body.append(line.node);
      }
      line.draw(model.instances[id]);
    }
    write(notes, reasons(model));
  };
  return { node, draw };
}

/** Why there are figures missing, each reason once. */
export function reasons(model) {
  const found = new Map();
  for (const row of Object.values(model.instances)) {
    for (const [field, reason] of Object.entries(row.why ?? {})) {
      found.set(`${field}: ${reason}`, true);
    }
  }
  return [...found.keys()].join('; ');
}

function render({ model, el }) {
  const line = element('div', { class: 'pyserve-detail' });
  const problem = element('div', { class: 'pyserve-problem', role: 'alert', hidden: true });
  const cards = element('div');
  const button = element('button', { type: 'button', class: 'pyserve-button' }, 'Pause');
  const root = element('div', { class: 'pyserve-live pyserve-monitor' });
  root.append(element('div', { class: 'pyserve-bar-line' }, line, button), problem, cards);
  el.append(root);

  let models = {};
  let stopped = false;
  const known = new Map();
  const attention = attend(model, root);

  const card = name => {
    if (!known.has(name)) {
      const made = makeCard(name);
      known.set(name, made);
      cards.append(made.node);
    }
    return known.get(name);
  };
  const trouble = text => {
    write(problem, text);
    problem.hidden = !text;
  };
  const setStopped = on => {
    stopped = on;
    write(button, on ? 'Go on' : 'Pause');
    attention.stop(on);
  };
  button.addEventListener('click', () => setStopped(!stopped));

  const heard = message => {
    if (message.type === 'snapshot') {
      cards.replaceChildren();
      known.clear();
      models = merge({}, message.models);
      write(line, Object.keys(message.engine).length ? engineWords(message.engine) : 'asking the engine …');
      trouble(message.problem || absent(message));
      for (const [name, row] of Object.entries(models)) {
        card(name).draw(row, message.time_s);
      }
    } else if (message.type === 'tick') {
      if (message.engine) {
        write(line, engineWords(message.engine));
      }
      merge(models, message.models);
      for (const [name, change] of Object.entries(message.models)) {
        if (change === null) {
          known.get(name)?.node.remove();
          known.delete(name);
        } else {
          card(name).draw(models[name], message.time_s, change.instances ?? {});
        }
      }
      trouble(Object.keys(models).length ? '' : 'no models');
    } else if (message.type === 'problem') {
      trouble(`${message.text}; asking again …`);
    } else if (message.type === 'stopped') {
      setStopped(true);
    }
  };
  model.on('msg:custom', heard);
  return () => {
    model.off('msg:custom', heard);
    attention.end();
  };
}

function absent(message) {
  if (!Object.keys(message.engine).length || Object.keys(message.models).length) {
    return '';
  }
  return message.name === null ? 'no models' : `there is no model '${message.name}'`;
}

export default { render };
