/**
 * The monitor: a card for each model, with plots, and a line for each of its processes. Nodes stay; texts change.
 */

import { attend } from './attention.js';
import { element, makeButton, write } from './dom.js';
import { formatBytes, formatMs, formatNumber, formatPercent, formatSeconds, shown } from './format.js';
import { makeBars, makePlot } from './plots.js';

/**
 * @typedef {import('./plots.js').Point} Point
 *
 * @typedef {object} Row a process
 * @property {string} name
 * @property {string} state
 * @property {number | null} pid
 * @property {number | null} requests
 * @property {number | null} failures
 * @property {number | null} p50_ms
 * @property {number | null} p99_ms
 * @property {number | null} memory
 * @property {number | null} cpu
 * @property {number | null} gpu
 * @property {number | null} busy_s
 * @property {string | null} last_exit
 * @property {Record<string, string>} why the reasons of missing figures
 *
 * @typedef {object} Figures
 * @property {string} state
 * @property {string} reason
 * @property {number} success
 * @property {number} failure
 * @property {number | null} queue_depth
 * @property {Record<string, number>} batch_sizes
 *
 * @typedef {Partial<Figures> & { instances: Record<string, Partial<Row>>, points: Point[] }} Watched a model
 * @typedef {Partial<Figures> & { instances?: Record<string, Partial<Row> | null>, points?: Point[] }} Change
 *
 * @typedef {object} Engine
 * @property {string} [state]
 * @property {number | null} [pid]
 * @property {number | null} [cpu_percent]
 * @property {number | null} [pss_bytes]
 * @property {number | null} [host_cpu_percent]
 * @property {[number, number] | null} [host_memory] used, total
 *
 * @typedef {{ time_s: number, name: string | null, engine: Engine, models: Record<string, Change>,
 *   problem: string }} Snapshot
 * @typedef {{ time_s: number, engine?: Engine, models: Record<string, Change | null> }} Tick
 */

const MAX_POINTS = 120;

const PLOTS = [
  { title: 'Requests', columns: [1], format: (/** @type {number} */ value) => `${formatNumber(value)}/s` },
  { title: 'p50, p99', columns: [2, 3], format: formatMs },
  { title: 'Memory', columns: [5], format: formatBytes },
  { title: 'CPU', columns: [4], format: formatPercent },
];

/** @type {[title: string, text: (row: Partial<Row>) => string | number | null | undefined, why?: string][]} */
const COLUMNS = [
  ['instance', row => row.name],
  ['state', row => (row.busy_s ? `${row.state} ${formatSeconds(row.busy_s)}` : row.state)],
  ['pid', row => row.pid],
  ['requests', row => shown(row.requests, formatNumber)],
  ['failures', row => shown(row.failures, formatNumber)],
  ['p50', row => shown(row.p50_ms, formatMs)],
  ['p99', row => shown(row.p99_ms, formatMs)],
  ['memory', row => shown(row.memory, formatBytes), 'memory'],
  ['CPU', row => shown(row.cpu, formatPercent), 'cpu'],
  ['GPU', row => shown(row.gpu, formatBytes), 'gpu'],
];

/**
 * Takes changes into what is known of models, in place; `null` for a change means that the model is gone.
 *
 * @param {Map<string, Watched>} models
 * @param {Record<string, Change | null>} changes
 */
export function merge(models, changes) {
  for (const [name, change] of Object.entries(changes)) {
    if (change === null) {
      models.delete(name);
      continue;
    }
    const { instances: changed = {}, points = [], ...figures } = change;
    const before = models.get(name) ?? { instances: {}, points: [] };
    const instances = { ...before.instances };
    for (const [id, row] of Object.entries(changed)) {
      if (row === null) {
        // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- a copy of our own
        delete instances[id];
      } else {
        instances[id] = { ...instances[id], ...row };
      }
    }
    models.set(name, { ...before, ...figures, instances, points: [...before.points, ...points].slice(-MAX_POINTS) });
  }
  return models;
}

/** @param {Engine} engine */
export function engineWords({ state, pid, cpu_percent, pss_bytes, host_cpu_percent, host_memory }) {
  const words = [`engine ${state ?? ''}, pid ${pid ?? ''}`];
  if (typeof cpu_percent === 'number') {
    words.push(`CPU ${formatPercent(cpu_percent)}`, `memory ${shown(pss_bytes, formatBytes)}`);
  }
  if (typeof host_cpu_percent === 'number' && host_memory) {
    const [used, total] = host_memory.map(formatBytes);
    words.push(`machine: CPU ${formatPercent(host_cpu_percent)}, ${used} of ${total}`);
  }
  return words.join(' · ');
}

function makeRow() {
  const cells = COLUMNS.map(([title], index) => element(index === 0 ? 'th' : 'td', { 'data-column': title }));
  cells[0]?.setAttribute('scope', 'row');
  const node = element('tr', {}, ...cells);
  /** @param {Partial<Row>} row */
  const draw = row => {
    node.dataset.state = row.state ?? '';
    cells.forEach((cell, index) => {
      const [, text, field] = /** @type {(typeof COLUMNS)[number]} */ (COLUMNS[index]);
      const reason = (field && row.why?.[field]) ?? '';
      const figure = text(row) ?? '';
      write(cell, figure === '' && reason !== '' ? '–' : figure);
      const title = index === 0 && row.last_exit ? `the process before: ${row.last_exit}` : reason;
      if (cell.title !== title) {
        cell.title = title;
      }
    });
  };
  return { node, draw };
}

/** @param {string} name */
function makeCard(name) {
  const state = element('span', { class: 'pyserve-state' });
  const words = element('span', { class: 'pyserve-detail' });
  const plots = PLOTS.map(makePlot);
  const bars = makeBars();
  const body = element('tbody');
  const head = element('tr', {}, ...COLUMNS.map(([title]) => element('th', { scope: 'col' }, title)));
  const notes = element('div', { class: 'pyserve-detail' });
  /** @type {Map<string, ReturnType<typeof makeRow>>} */
  const rows = new Map();
  const node = element(
    'section',
    { 'aria-label': name },
    element('header', {}, element('strong', {}, name), state, words),
    element('div', { class: 'pyserve-plots' }, ...plots.map(plot => plot.node), bars.node),
    element('div', { class: 'pyserve-scroll' }, element('table', {}, element('thead', {}, head), body)),
    notes,
  );
  /** @type {(model: Watched, time_s: number, changed?: Change['instances']) => void} */
  const draw = (model, time_s, changed = model.instances) => {
    write(state, model.state);
    state.dataset.state = model.state ?? '';
    const counts = [
      `${formatNumber(model.success ?? 0)} requests`,
      `${formatNumber(model.failure ?? 0)} failures`,
      `${model.queue_depth ?? 0} waiting`,
    ];
    write(words, [model.reason, ...counts].filter(Boolean).join(', '));
    plots.forEach(plot => {
      plot.draw(model.points, time_s);
    });
    bars.draw(model.batch_sizes ?? {});
    for (const [id, change] of Object.entries(changed)) {
      const row = rows.get(id) ?? makeRow();
      if (change === null) {
        row.node.remove();
        rows.delete(id);
        continue;
      }
      if (!rows.has(id)) {
        rows.set(id, row);
        body.append(row.node);
      }
      row.draw(model.instances[id] ?? {});
    }
    write(notes, reasons(model));
  };
  return { node, draw };
}

/**
 * Why there are figures missing, each reason once.
 *
 * @param {Pick<Watched, 'instances'>} model
 */
export function reasons(model) {
  const found = Object.values(model.instances).flatMap(({ why }) =>
    Object.entries(why ?? {}).map(([field, reason]) => `${field}: ${reason}`),
  );
  return [...new Set(found)].join('; ');
}

/** @param {Snapshot} message */
function absent({ engine, models, name }) {
  if (Object.keys(engine).length === 0 || Object.keys(models).length > 0) {
    return '';
  }
  return name === null ? 'no models' : `there is no model '${name}'`;
}

/** @param {import('./attention.js').Place} place */
function render({ model, el }) {
  const line = element('div', { class: 'pyserve-detail' });
  const problem = element('div', { class: 'pyserve-problem', role: 'alert', hidden: true });
  const cards = element('div');
  const pause = makeButton('Pause');
  const top = element('div', { class: 'pyserve-bar-line' }, line, pause);
  const root = element('div', { class: 'pyserve-live pyserve-monitor' }, top, problem, cards);
  el.append(root);

  /** @type {Map<string, Watched>} */
  let models = new Map();
  /** @type {Map<string, ReturnType<typeof makeCard>>} */
  const known = new Map();

  /** @type {(name: string, time_s: number, changed?: Change['instances']) => void} */
  const draw = (name, time_s, changed) => {
    const watched = models.get(name);
    const card = known.get(name) ?? makeCard(name);
    if (watched === undefined) {
      card.node.remove();
      known.delete(name);
      return;
    }
    if (!known.has(name)) {
      known.set(name, card);
      cards.append(card.node);
    }
    card.draw(watched, time_s, changed);
  };
  /** @param {string} text */
  const trouble = text => {
    write(problem, text);
    problem.hidden = text === '';
  };

  /** @param {{ type: 'snapshot' } & Snapshot | { type: 'tick' } & Tick | { type: 'problem', text: string }} message */
  const heard = message => {
    if (message.type === 'snapshot') {
      cards.replaceChildren();
      known.clear();
      models = merge(new Map(), message.models);
      write(line, Object.keys(message.engine).length > 0 ? engineWords(message.engine) : 'asking the engine …');
      trouble(message.problem || absent(message));
      models.forEach((_, name) => {
        draw(name, message.time_s);
      });
    } else if (message.type === 'tick') {
      if (message.engine) {
        write(line, engineWords(message.engine));
      }
      merge(models, message.models);
      for (const [name, change] of Object.entries(message.models)) {
        draw(name, message.time_s, change?.instances ?? {});
      }
      trouble(models.size > 0 ? '' : 'no models');
    } else {
      trouble(`${message.text}; asking again …`);
    }
  };
  return attend(model, root, heard, pause);
}

export default { render };
