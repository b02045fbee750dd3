/**
 * The inference form: a field for each input, the answer below.
 */

import { attend, copy, element, write } from './base.js';

/** What is wrong with a field's text, as far as can be seen without the kernel. */
export function check(field, text) {
  if (!text.trim()) {
    return field.optional || field.datatype === 'BYTES' ? '' : 'a value is needed';
  }
  if (field.kind === 'number') {
    return Number.isNaN(Number(text)) ? 'a number is needed' : '';
  }
  if (field.datatype === 'BYTES' && !text.trimStart().startsWith('[')) {
    return '';
  }
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return field.datatype === 'BYTES' ? '' : `this is not JSON: ${error.message}`;
  }
}

function makeField(field, id) {
  const properties = { id, name: field.name, 'aria-describedby': `${id}-error`, spellcheck: 'false' };
  const control =
    field.kind === 'number'
      ? element('input', { ...properties, type: 'text', inputmode: 'decimal' })
      : element('textarea', { ...properties, rows: field.kind === 'text' ? 1 : 3 });
  control.value = field.value;
  control.placeholder = field.kind === 'text' ? 'a text, or a JSON list of texts' : '';
  const problem = element('div', { class: 'pyserve-problem', id: `${id}-error` });
  const complain = text => {
    write(problem, text);
    control.setAttribute('aria-invalid', String(Boolean(text)));
  };
  control.addEventListener('input', () => complain(check(field, control.value)));
  const about = `${field.datatype} [${field.shape.join(', ')}]${field.optional ? ', optional' : ''}`;
  const node = element(
    'div',
    { class: 'pyserve-field' },
    element('label', { for: id }, field.name),
    element('span', { class: 'pyserve-detail' }, about),
    control,
    problem,
  );
  return { node, control, complain, valid: () => !check(field, control.value) };
}

function render({ model, el }) {
  const prefix = `pyserve-${crypto.randomUUID()}`;
  const title = element('strong');
  const inputs = element('div');
  const problem = element('div', { class: 'pyserve-problem', role: 'alert' });
  const requestId = element('input', { id: `${prefix}-id`, type: 'text', spellcheck: 'false' });
  const parameters = element('input', { id: `${prefix}-parameters`, type: 'text', spellcheck: 'false' });
  parameters.placeholder = '{"key": 1}';
  const wrongParameters = element('div', { class: 'pyserve-problem' });
  const infer = element('button', { type: 'submit', class: 'pyserve-button' }, 'Infer');
  const cancel = element('button', { type: 'button', class: 'pyserve-button', disabled: true }, 'Cancel');
  const asPython = element('button', { type: 'button', class: 'pyserve-button' }, 'Copy as Python');
  const asCurl = element('button', { type: 'button', class: 'pyserve-button' }, 'Copy as curl');
  const status = element('span', { class: 'pyserve-detail', role: 'status' });
  const copied = element('pre', { hidden: true });
  const answers = element('div', { 'aria-live': 'polite' });
  const more = element(
    'details',
    {},
    element('summary', {}, 'Request id and parameters'),
    element('div', { class: 'pyserve-field' }, element('label', { for: requestId.id }, 'Request id'), requestId),
    element(
      'div',
      { class: 'pyserve-field' },
      element('label', { for: parameters.id }, 'Parameters (JSON)'),
      parameters,
      wrongParameters,
    ),
  );
  const buttons = element('div', { class: 'pyserve-buttons' }, infer, cancel, asPython, asCurl, status);
  const form = element('form', {}, inputs, more, buttons);
  const root = element('div', { class: 'pyserve-live pyserve-form' });
  root.append(title, problem, form, copied, answers);
  el.append(root);

  let fields = new Map();
  let described = '';
  const attention = attend(model, root);

  const ask = message => {
    const values = Object.fromEntries([...fields].map(([name, field]) => [name, field.control.value]));
    model.send({ ...message, values, parameters: parameters.value, id: requestId.value });
  };
  const run = on => {
    infer.disabled = on;
    cancel.disabled = !on;
  };
  const answer = outputs => {
    for (const output of outputs) {
      const about = `${output.datatype} [${output.shape.join(', ')}]`;
      const heading = element('div', {}, element('strong', {}, output.name), ' ');
      heading.append(element('span', { class: 'pyserve-detail' }, about));
      answers.append(heading, element('pre', {}, output.text));
    }
    while (answers.childElementCount > 400) {
      answers.firstElementChild.remove();
    }
  };
  const finish = outcome => {
    run(false);
    write(status, outcome.text);
    write(problem, outcome.error);
  };
  const build = message => {
    const description = JSON.stringify(message.fields);
    if (description === described) {
      return; // what is typed stays
    }
    described = description;
    write(title, message.name);
    write(infer, message.decoupled ? 'Infer (any number of responses)' : 'Infer');
    fields = new Map(message.fields.map((field, index) => [field.name, makeField(field, `${prefix}-${index}`)]));
    inputs.replaceChildren(...[...fields.values()].map(field => field.node));
  };

  form.addEventListener('submit', event => {
    event.preventDefault();
    if (infer.disabled) {
      return;
    }
    const wrong = [...fields.values()].find(field => !field.valid());
    if (wrong) {
      wrong.control.dispatchEvent(new Event('input'));
      wrong.control.focus();
      return;
    }
    ask({ type: 'infer' });
  });
  cancel.addEventListener('click', () => model.send({ type: 'cancel' }));
  asPython.addEventListener('click', () => ask({ type: 'copy', as: 'python' }));
  asCurl.addEventListener('click', () => ask({ type: 'copy', as: 'curl' }));
  // JupyterLab has keys of its own, which a field must not set off.
  root.addEventListener('keydown', event => {
    if (event.ctrlKey && event.key === 'Enter' && root.contains(event.target)) {
      form.requestSubmit();
      event.preventDefault();
    }
    event.stopPropagation();
  });

  const heard = message => {
    if (message.type === 'form') {
      build(message);
      answers.replaceChildren();
      message.responses.forEach(answer);
      finish(message.outcome);
      run(message.running);
      if (message.problem) {
        write(problem, message.problem);
      }
    } else if (message.type === 'running') {
      run(true);
      answers.replaceChildren();
      write(problem, '');
      write(wrongParameters, '');
      write(status, 'asking …');
      fields.forEach(field => field.complain(''));
    } else if (message.type === 'response') {
      answer(message.outputs);
      write(status, `answering, ${message.elapsed_ms.toFixed(2)} ms`);
    } else if (message.type === 'done') {
      finish(message.outcome);
    } else if (message.type === 'invalid') {
      write(wrongParameters, message.fields.parameters ?? '');
      more.open ||= Boolean(message.fields.parameters);
      Object.entries(message.fields).forEach(([name, text]) => fields.get(name)?.complain(text));
    } else if (message.type === 'copied') {
      write(copied, message.text);
      copied.hidden = false;
      copy(message.text, copied);
    }
  };
  model.on('msg:custom', heard);
  return () => {
    model.off('msg:custom', heard);
    attention.end();
  };
}

export default { render };
