/**
 * The log viewer: lines as they come, of which a filter leaves some.
 */

import { attend, element, write } from './base.js';

const LEVELS = ['VERBOSE', 'INFO', 'WARNING', 'ERROR'];
const [, INSTANCE, KIND, REQUEST, TEXT] = [0, 1, 2, 3, 4];

/** Whether a line is wanted; what was printed has no level and is wanted at all of them. */
export function wants({ text, level, instance }, line) {
  const rank = LEVELS.indexOf(line[KIND]);
  return (
    (!instance || line[INSTANCE] === instance) &&
    (!level || rank < 0 || rank >= LEVELS.indexOf(level)) &&
    (!text || `${line[TEXT]} ${line[REQUEST]}`.toLowerCase().includes(text.toLowerCase()))
  );
}

/** Control characters as what they are called, or a line could not be read. */
export function readable(text) {
  // eslint-disable-next-line no-control-regex
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g,
    found => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function choices(select, names) {
  select.replaceChildren(...names.map(([value, title]) => element('option', { value }, title)));
}

function render({ model, el }) {
  const search = element('input', { type: 'search', 'aria-label': 'Filter the log', placeholder: 'Filter' });
  const level = element('select', { 'aria-label': 'Least level' });
  const instance = element('select', { 'aria-label': 'Instance' });
  const pause = element('button', { type: 'button', class: 'pyserve-button' }, 'Pause');
  const clear = element('button', { type: 'button', class: 'pyserve-button' }, 'Clear');
  const count = element('span', { class: 'pyserve-detail', role: 'status' });
  const problem = element('div', { class: 'pyserve-problem', role: 'alert' });
  const log = element('div', { class: 'pyserve-log', role: 'log', tabindex: '0', 'aria-label': 'Log' });
  const bar = element('div', { class: 'pyserve-buttons' }, search, level, instance, pause, clear, count);
  const root = element('div', { class: 'pyserve-live pyserve-log-viewer' });
  root.append(bar, problem, log);
  el.append(root);
  choices(level, [['', 'All levels'], ...LEVELS.map(name => [name, name])]);
  choices(instance, [['', 'All instances']]);

  let lines = [];
  let kept = 2000;
  let leftOut = 0;
  let stopped = false;
  const known = new Set();
  const attention = attend(model, root);

  const wanted = () => ({ text: search.value, level: level.value, instance: instance.value });
  const tell = () => {
    const seen = lines.filter(({ node }) => !node.hidden).length;
    const lost = leftOut ? `, ${leftOut} left out` : '';
    write(count, `${seen} of ${lines.length} lines${lost}`);
  };
  const filter = () => {
    const filtered = wanted();
    lines.forEach(({ line, node }) => {
      node.hidden = !wants(filtered, line);
    });
    tell();
  };
  const add = fresh => {
    const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
    const filtered = wanted();
    const made = fresh.map(line => {
      const [time_s, name, kind, request, text] = line;
      const clock = new Date(time_s * 1000).toLocaleTimeString('en-GB');
      const about = [clock, name, kind, request && `[${request}]`].filter(Boolean).join(' ');
      const node = element(
        'div',
        { 'data-kind': kind, hidden: !wants(filtered, line) },
        element('span', { class: 'pyserve-detail' }, `${readable(about)} `),
        readable(text),
      );
      if (name && !known.has(name)) {
        known.add(name);
        instance.append(element('option', { value: name }, name));
      }
      return { line, node };
    });
    lines.push(...made);
    log.append(...made.map(({ node }) => node));
    const old = lines.splice(0, Math.max(0, lines.length - kept));
    old.forEach(({ node }) => node.remove());
    if (atEnd) {
      log.scrollTop = log.scrollHeight;
    }
    tell();
  };
  const empty = () => {
    lines = [];
    leftOut = 0;
    log.replaceChildren();
  };
  const setStopped = on => {
    stopped = on;
    write(pause, on ? 'Go on' : 'Pause');
    attention.stop(on);
  };

  for (const control of [search, level, instance]) {
    control.addEventListener('input', filter);
  }
  pause.addEventListener('click', () => setStopped(!stopped));
  clear.addEventListener('click', () => {
    empty();
    tell();
  });
  root.addEventListener('keydown', event => event.stopPropagation());

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
    } else if (message.type === 'problem') {
      write(problem, message.text);
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

export default { render };
