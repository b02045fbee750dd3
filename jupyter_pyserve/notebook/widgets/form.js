/**
 * The inference form: a field for each input, the answer below.
 */

import { attend } from './attention.js';
import { copy, element, makeButton, makeId, write } from './dom.js';
import { formatMs } from './format.js';

/**
 * @typedef {object} Field an input of the model
 * @property {string} name
 * @property {string} datatype
 * @property {number[]} shape
 * @property {'text' | 'number' | 'json'} kind
 * @property {boolean} optional
 * @property {string} value an example
 *
 * @typedef {{ name: string, datatype: string, shape: number[], text: string }} Output
 * @typedef {{ text: string, error: string }} Outcome
 *
 * @typedef {{ type: 'form', name: string, decoupled: boolean, fields: Field[], problem: string, outcome: Outcome,
 *     responses: Output[][], running: boolean }
 *   | { type: 'running' }
 *   | { type: 'response', outputs: Output[], elapsed_ms: number }
 *   | { type: 'done', outcome: Outcome }
 *   | { type: 'invalid', fields: Record<string, string> }
 *   | { type: 'copied', text: string }
 *   | { type: 'stopped' }} Message
 */

const MAX_ANSWERS = 200;

/**
 * What is wrong with a field's text, as far as can be seen without the kernel.
 *
 * @param {Pick<Field, 'datatype' | 'kind' | 'optional'>} field
 * @param {string} text
 */
export function check(field, text) {
  const isText = field.datatype === 'BYTES';
  if (!text.trim()) {
    return field.optional || isText ? '' : 'a value is needed';
  }
  if (field.kind === 'number') {
    return Number.isNaN(Number(text)) ? 'a number is needed' : '';
  }
  if (isText) {
    return '';
  }
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return `this is not JSON: ${error instanceof Error ? error.message : ''}`;
  }
}

/** @param {{ datatype: string, shape: number[] }} tensor */
function typeOf({ datatype, shape }) {
  return element('span', { class: 'pyserve-detail' }, `${datatype} [${shape.join(', ')}]`);
}

/**
 * @param {Field} field
 * @param {string} id
 */
function makeField(field, id) {
  const attributes = { id, name: field.name, 'aria-describedby': `${id}-error`, spellcheck: 'false' };
  const control =
    field.kind === 'number'
      ? element('input', { ...attributes, type: 'text', inputmode: 'decimal' })
      : element('textarea', { ...attributes, rows: field.kind === 'text' ? 1 : 3 });
  control.value = field.value;
  control.placeholder = field.kind === 'text' ? 'a text, or a JSON list of texts' : '';
  const problem = element('div', { class: 'pyserve-problem', id: `${id}-error` });
  /** @param {string} text */
  const complain = text => {
    write(problem, text);
    control.setAttribute('aria-invalid', String(text !== ''));
  };
  const recheck = () => {
    const found = check(field, control.value);
    complain(found);
    return found === '';
  };
  control.addEventListener('input', recheck);
  const about = typeOf(field);
  about.append(field.optional ? ', optional' : '');
  const label = element('label', { for: id }, field.name);
  const node = element('div', { class: 'pyserve-field' }, label, about, control, problem);
  return { node, control, complain, recheck };
}

/**
 * @param {string} label
 * @param {HTMLInputElement} input
 * @param {...Node} more
 */
function labelled(label, input, ...more) {
  return element('div', { class: 'pyserve-field' }, element('label', { for: input.id }, label), input, ...more);
}

/** @param {Output[]} outputs */
function makeAnswer(outputs) {
  return outputs.flatMap(output => [
    element('div', {}, element('strong', {}, output.name), ' ', typeOf(output)),
    element('pre', {}, output.text),
  ]);
}

/** @param {import('./attention.js').Place} place */
function render({ model, el }) {
  const prefix = makeId();
  const title = element('strong');
  const inputs = element('div');
  const problem = element('div', { class: 'pyserve-problem', role: 'alert' });
  const requestId = element('input', { id: `${prefix}-id`, type: 'text', spellcheck: 'false' });
  const parameters = element('input', { id: `${prefix}-parameters`, type: 'text', spellcheck: 'false' });
  parameters.placeholder = '{"key": 1}';
  const wrongParameters = element('div', { class: 'pyserve-problem' });
  const infer = makeButton('Infer', { type: 'submit' });
  const cancel = makeButton('Cancel', { disabled: true });
  const asPython = makeButton('Copy as Python');
  const asCurl = makeButton('Copy as curl');
  const status = element('span', { class: 'pyserve-detail', role: 'status' });
  const copied = element('pre', { hidden: true });
  const answers = element('div', { 'aria-live': 'polite' });
  const more = element(
    'details',
    {},
    element('summary', {}, 'Request id and parameters'),
    labelled('Request id', requestId),
    labelled('Parameters (JSON)', parameters, wrongParameters),
  );
  const buttons = element('div', { class: 'pyserve-buttons' }, infer, cancel, asPython, asCurl, status);
  const form = element('form', {}, inputs, more, buttons);
  const root = element('div', { class: 'pyserve-live pyserve-form' }, title, problem, form, copied, answers);
  el.append(root);

  /** @type {Map<string, ReturnType<typeof makeField>>} */
  let fields = new Map();
  let described = '';

  /** @param {{ type: string, as?: string }} message */
  const ask = message => {
    const values = Object.fromEntries([...fields].map(([name, field]) => [name, field.control.value]));
    model.send({ ...message, values, parameters: parameters.value, id: requestId.value });
  };
  /** @param {boolean} running */
  const setRunning = running => {
    infer.disabled = running;
    cancel.disabled = !running;
  };
  /** @param {Output[]} outputs */
  const answer = outputs => {
    answers.append(...makeAnswer(outputs));
    [...answers.children].slice(0, -2 * MAX_ANSWERS).forEach(node => {
      node.remove();
    });
  };
  /** @param {Outcome} outcome */
  const finish = outcome => {
    setRunning(false);
    write(status, outcome.text);
    write(problem, outcome.error);
  };
  /** @param {Message & { type: 'form' }} message */
  const build = message => {
    write(title, message.name);
    write(infer, message.decoupled ? 'Infer (any number of responses)' : 'Infer');
    const description = JSON.stringify(message.fields);
    if (description === described) {
      return; // what is typed stays
    }
    described = description;
    fields = new Map(message.fields.map((field, index) => [field.name, makeField(field, `${prefix}-${index}`)]));
    inputs.replaceChildren(...[...fields.values()].map(field => field.node));
  };

  form.addEventListener('submit', event => {
    event.preventDefault();
    if (infer.disabled) {
      return;
    }
    const wrong = [...fields.values()].find(field => !field.recheck());
    if (wrong) {
      wrong.control.focus();
      return;
    }
    ask({ type: 'infer' });
  });
  cancel.addEventListener('click', () => {
    model.send({ type: 'cancel' });
  });
  asPython.addEventListener('click', () => {
    ask({ type: 'copy', as: 'python' });
  });
  asCurl.addEventListener('click', () => {
    ask({ type: 'copy', as: 'curl' });
  });
  // JupyterLab has keys of its own, which a field must not set off.
  root.addEventListener('keydown', event => {
    if (event.ctrlKey && event.key === 'Enter') {
      form.requestSubmit();
      event.preventDefault();
    }
    event.stopPropagation();
  });

  /** @param {Message} message */
  const heard = message => {
    switch (message.type) {
      case 'form':
        build(message);
        answers.replaceChildren();
        message.responses.forEach(answer);
        finish(message.outcome);
        setRunning(message.running);
        if (message.problem) {
          write(problem, message.problem);
        }
        break;
      case 'running':
        setRunning(true);
        answers.replaceChildren();
        write(problem, '');
        write(wrongParameters, '');
        write(status, 'asking …');
        fields.forEach(field => {
          field.complain('');
        });
        break;
      case 'response':
        answer(message.outputs);
        write(status, `answering, ${formatMs(message.elapsed_ms)}`);
        break;
      case 'done':
        finish(message.outcome);
        break;
      case 'invalid':
        write(wrongParameters, message.fields.parameters);
        more.open ||= Boolean(message.fields.parameters);
        Object.entries(message.fields).forEach(([name, text]) => fields.get(name)?.complain(text));
        break;
      case 'copied':
        write(copied, message.text);
        copied.hidden = false;
        copy(message.text, copied);
        break;
      case 'stopped':
        break;
    }
  };
  return attend(model, root, heard);
}

export default { render };
