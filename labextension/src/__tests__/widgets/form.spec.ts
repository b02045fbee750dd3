import form, { check } from '../../../../jupyter_pyserve/notebook/widgets/form.js';
import { EVIL, Shown } from './place';

const X = { name: 'X', datatype: 'FP32', shape: [1], kind: 'number', optional: false, value: '1' };
const TEXT = { name: 'TEXT', datatype: 'BYTES', shape: [1], kind: 'text', optional: true, value: '' };
const FORM = {
  type: 'form',
  name: 'adder',
  decoupled: false,
  fields: [X, TEXT],
  problem: '',
  outcome: { text: 'not asked yet', error: '' },
  responses: [],
  running: false,
};

function show(message: object = FORM): Shown {
  const shown = new Shown(form);
  shown.sent.length = 0;
  shown.say(message);
  return shown;
}

function type(shown: Shown, name: string, text: string): void {
  const control = shown.find<HTMLInputElement>(`[name="${name}"]`);
  control.value = text;
  control.dispatchEvent(new Event('input', { bubbles: true }));
}

describe('check', () => {
  const json = { datatype: 'INT32', kind: 'json', optional: false } as const;

  it.each([
    [X, '1.5', ''],
    [X, 'one', 'a number is needed'],
    [X, ' ', 'a value is needed'],
    [{ ...X, optional: true }, '', ''],
    [TEXT, '[not JSON', ''],
    [json, '[1, 2]', ''],
  ] as const)('%j %s', (field, text, problem) => {
    expect(check(field as Parameters<typeof check>[0], text)).toBe(problem);
  });

  it('says why something is no JSON', () => {
    expect(check(json, '[1,')).toMatch(/^this is not JSON: ./);
  });
});

test('a field for each input, with its example', () => {
  const shown = show();
  expect(shown.texts('.pyserve-field label').slice(0, 2)).toEqual(['X', 'TEXT']);
  expect(shown.texts('.pyserve-field .pyserve-detail')).toEqual(['FP32 [1]', 'BYTES [1], optional']);
  expect(shown.find<HTMLInputElement>('input[name=X]').value).toBe('1');
});

test('what is typed is sent', () => {
  const shown = show();
  type(shown, 'X', '2.5');
  shown.button('Infer').click();
  expect(shown.sent).toEqual([{ type: 'infer', values: { X: '2.5', TEXT: '' }, parameters: '', id: '' }]);
  shown.button('Copy as curl').click();
  expect(shown.sent[1]).toMatchObject({ type: 'copy', as: 'curl' });
});

test('what can not be right is not sent, but said and shown', () => {
  const shown = show();
  type(shown, 'X', 'one');
  shown.button('Infer').click();
  const control = shown.find('input[name=X]');
  expect(shown.sent).toEqual([]);
  expect(document.activeElement).toBe(control);
  expect(control.getAttribute('aria-invalid')).toBe('true');
  const about = control.getAttribute('aria-describedby') ?? '';
  expect(document.getElementById(about)?.textContent).toBe('a number is needed');
});

test('Ctrl and Enter sends; keys do not reach what is around', () => {
  const shown = show();
  const around = jest.fn();
  document.body.addEventListener('keydown', around);
  const key = (init: KeyboardEventInit): boolean =>
    shown.find('input').dispatchEvent(new KeyboardEvent('keydown', { bubbles: true, cancelable: true, ...init }));
  expect(key({ key: 'a' })).toBe(true);
  expect(key({ key: 'Enter', ctrlKey: true })).toBe(false);
  expect(shown.sent.map(message => message.type)).toEqual(['infer']);
  expect(around).not.toHaveBeenCalled();
  document.body.removeEventListener('keydown', around);
});

test('answers are shown as they come, then how long they took', () => {
  const shown = show();
  shown.say({ type: 'running' });
  expect(shown.button('Infer').disabled).toBe(true);
  shown.button('Cancel').click();
  expect(shown.sent).toEqual([{ type: 'cancel' }]);
  const outputs = [{ name: 'Y', datatype: 'FP32', shape: [1, 2], text: '[3, 4]' }];
  shown.say({ type: 'response', outputs, elapsed_ms: 1.234 });
  expect(shown.find('[role=status]').textContent).toBe('answering, 1.23 ms');
  shown.say({ type: 'done', outcome: { text: '1 response in 1.30 ms', error: '' } });
  expect(shown.texts('[aria-live] > *')).toEqual(['Y FP32 [1, 2]', '[3, 4]']);
  expect([shown.button('Infer').disabled, shown.button('Cancel').disabled]).toEqual([false, true]);
});

test('a model without an end keeps its last answers only', () => {
  const shown = show();
  for (let index = 0; index < 205; index += 1) {
    shown.say({
      type: 'response',
      outputs: [{ name: 'Y', datatype: 'INT32', shape: [1], text: String(index) }],
      elapsed_ms: 1,
    });
  }
  const kept = shown.texts('[aria-live] > pre');
  expect([kept.length, kept[0], kept[199]]).toEqual([200, '5', '204']);
});

test('a look again leaves what was typed, unless the inputs are others', () => {
  const shown = show();
  type(shown, 'X', '7');
  shown.say({ ...FORM, name: 'adder two' });
  expect(shown.find<HTMLInputElement>('input[name=X]').value).toBe('7');
  expect(shown.find('strong').textContent).toBe('adder two');
  shown.say({ ...FORM, fields: [{ ...X, name: 'Z' }] });
  expect(shown.texts('.pyserve-field label')[0]).toBe('Z');
});

test('what the kernel finds wrong stands at its field', () => {
  const shown = show();
  shown.say({ type: 'invalid', fields: { X: 'too large', parameters: 'a JSON object is needed' } });
  expect(shown.texts('.pyserve-field .pyserve-problem')).toEqual(['too large', '', 'a JSON object is needed']);
  expect(shown.find('details').hasAttribute('open')).toBe(true);
});

test('nothing of a model becomes markup', () => {
  const outputs = [{ name: EVIL, datatype: EVIL, shape: [1], text: EVIL }];
  const field = { ...X, name: EVIL, datatype: EVIL, value: EVIL };
  const message = { ...FORM, name: EVIL, fields: [field], responses: [outputs], problem: EVIL };
  const shown = show({ ...message, outcome: { text: EVIL, error: EVIL } });
  shown.say({ type: 'invalid', fields: { [EVIL]: EVIL, parameters: EVIL } });
  shown.say({ type: 'copied', text: EVIL });
  expect(shown.el.querySelector('img')).toBeNull();
  expect(shown.find('[aria-live] pre').textContent).toBe(EVIL);
});
