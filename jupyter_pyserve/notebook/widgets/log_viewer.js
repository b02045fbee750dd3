/**
 * The log viewer: lines as they come, of which a filter leaves some.
 */

import { attend } from './attention.js';
import { element, makeButton, write } from './dom.js';

/**
 * @typedef {[time_s: number, instance: string, kind: string, request: string, text: string]} Line
 * @typedef {{ text: string, level: string, instance: string }} Filter
 */

const LEVELS = ['VERBOSE', 'INFO', 'WARNING', 'ERROR'];

/**
 * Whether a line is wanted; what was printed has no level and is wanted at all of them.
 *
 * @type {(filter: Filter, line: Line) => boolean}
 */
export function wants(filter, [, instance, kind, request, text]) {
  const rank = LEVELS.indexOf(kind);
  return (
    (!filter.instance || instance === filter.instance) &&
    (!filter.level || rank < 0 || rank >= LEVELS.indexOf(filter.level)) &&
    (!filter.text || `${text} ${request}`.toLowerCase().includes(filter.text.toLowerCase()))
  );
}

/**
 * Control characters as what they are called, or a line could not be read.
 *
 * @param {string} text
 */
export function readable(text) {
  return text.replace(
    // eslint-disable-next-line no-control-regex -- they are what is looked for
    /[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g,
    found => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * @param {Line} line
 * @param {boolean} hidden
 */
function makeLine([time_s, name, kind, request, text], hidden) {
  const clock = new Date(time_s * 1000).toLocaleTimeString('en-GB');
  const about = [clock, name, kind, request && `[${request}]`].filter(Boolean).join(' ');
  const heading = element('span', { class: 'pyserve-detail' }, `${readable(about)} `);
  return element('div', { 'data-kind': kind, hidden }, heading, readable(text));
}

/**
 * A choice, at first of everything.
 *
 * @param {string} label
 * @param {string} all
 * @param {string[]} names
 */
function makeSelect(label, all, names = []) {
  const options = names.map(name => element('option', { value: name }, name));
  return element('select', { 'aria-label': label }, element('option', { value: '' }, all), ...options);
}

/** @param {import('./attention.js').Place} place */
function render({ model, el }) {
  const search = element('input', { type: 'search', 'aria-label': 'Filter the log', placeholder: 'Filter' });
  const level = makeSelect('Least level', 'All levels', LEVELS);
  const instance = makeSelect('Instance', 'All instances');
  const pause = makeButton('Pause');
  const clear = makeButton('Clear');
  const count = element('span', { class: 'pyserve-detail', role: 'status' });
  const problem = element('div', { class: 'pyserve-problem', role: 'alert' });
  const log = element('div', { class: 'pyserve-log', role: 'log', tabindex: '0', 'aria-label': 'Log' });
  const bar = element('div', { class: 'pyserve-buttons' }, search, level, instance, pause, clear, count);
  const root = element('div', { class: 'pyserve-live pyserve-log-viewer' }, bar, problem, log);
  el.append(root);

  /** @type {{ line: Line, node: HTMLElement }[]} */
  let lines = [];
  let kept = 2000;
  let leftOut = 0;
  /** @type {Set<string>} */
  const known = new Set();

  const wanted = () => ({ text: search.value, level: level.value, instance: instance.value });
  const tell = () => {
    const seen = lines.filter(({ node }) => !node.hidden).length;
    write(count, `${seen} of ${lines.length} lines${leftOut ? `, ${leftOut} left out` : ''}`);
  };
  const filter = () => {
    const filtered = wanted();
    lines.forEach(({ line, node }) => {
      node.hidden = !wants(filtered, line);
    });
    tell();
  };
  /** @param {Line[]} fresh */
  const add = fresh => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    const filtered = wanted();
    const made = fresh.map(line => ({ line, node: makeLine(line, !wants(filtered, line)) }));
    for (const name of new Set(fresh.map(line => line[1]))) {
      if (name && !known.has(name)) {
        known.add(name);
        instance.append(element('option', { value: name }, name));
      }
    }
    lines.push(...made);
    log.append(...made.map(({ node }) => node));
    lines.splice(0, Math.max(0, lines.length - kept)).forEach(({ node }) => {
      node.remove();
    });
    if (atEnd) {
      log.scrollTop = log.scrollHeight;
    }
    tell();
  };
  const empty = () => {
    lines = [];
    leftOut = 0;
    log.replaceChildren();
    tell();
  };

  for (const control of [search, level, instance]) {
    control.addEventListener('input', filter);
  }
  clear.addEventListener('click', empty);
  root.addEventListener('keydown', event => {
    event.stopPropagation();
  });

  /**
   * @param {{ type: 'all', lines: Line[], kept: number, problem: string }
   *   | { type: 'lines', lines: Line[], left_out: number } | { type: 'problem', text: string }} message
   */
  const heard = message => {
    if (message.type === 'all') {
      kept = message.kept;
      empty();
      add(message.lines);
      log.scrollTop = log.scrollHeight;
      write(problem, message.problem);
    } else if (message.type === 'lines') {
      leftOut += message.left_out;
      add(message.lines);
    } else {
      write(problem, message.text);
    }
  };
  return attend(model, root, heard, pause);
}

export default { render };
