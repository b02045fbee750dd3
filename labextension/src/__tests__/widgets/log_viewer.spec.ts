import viewer, { readable, wants } from '../../../../jupyter_pyserve/notebook/widgets/log_viewer.js';
import { EVIL, Shown } from './place';

type Line = Parameters<typeof wants>[1];
const PRINTED: Line = [0, 'adder_0', 'stdout', '', 'hello'];
const WARNED: Line = [1, 'adder_1', 'WARNING', 'r-1', 'too warm'];
const FAILED: Line = [2, 'adder_1', 'ERROR', '', 'too hot'];

function show(lines: Line[] = [PRINTED, WARNED, FAILED], kept = 2000): Shown {
  const shown = new Shown(viewer);
  shown.say({ type: 'all', lines, kept, problem: '' });
  return shown;
}

function seen(shown: Shown): (string | undefined)[] {
  return [...shown.el.querySelectorAll('[role=log] > div:not([hidden])')].map(
    node => node.lastChild?.textContent ?? '',
  );
}

function choose(shown: Shown, label: string, value: string): void {
  const control = shown.find<HTMLInputElement>(`[aria-label="${label}"]`);
  control.value = value;
  control.dispatchEvent(new Event('input', { bubbles: true }));
}

const ALL = { text: '', level: '', instance: '' };

test.each([
  [ALL, ['hello', 'too warm', 'too hot']],
  [{ ...ALL, level: 'ERROR' }, ['hello', 'too hot']],
  [{ ...ALL, instance: 'adder_0' }, ['hello']],
  [{ ...ALL, text: 'TOO' }, ['too warm', 'too hot']],
  [{ ...ALL, text: 'r-1' }, ['too warm']],
])('%j leaves %j', (filter, texts) => {
  const found = [PRINTED, WARNED, FAILED].filter(line => wants(filter, line));
  expect(found.map(line => line[4])).toEqual(texts);
});

test('control characters can be read, and steer nothing', () => {
  expect(readable('a\u001b[31m\u202eb\tc')).toBe('a\\u001b[31m\\u202eb\tc');
});

test('lines with who wrote them, counted', () => {
  const shown = show();
  const line = shown.find('[data-kind=WARNING]');
  expect(line.textContent).toMatch(/^\d\d:\d\d:\d\d adder_1 WARNING \[r-1\] too warm$/);
  expect(shown.find('[role=status]').textContent).toBe('3 of 3 lines');
  expect(shown.texts('[aria-label=Instance] option')).toEqual(['All instances', 'adder_0', 'adder_1']);
});

test('a filter holds for what comes later too', () => {
  const shown = show();
  choose(shown, 'Least level', 'ERROR');
  choose(shown, 'Filter the log', 'too');
  shown.say({ type: 'lines', lines: [FAILED, WARNED], left_out: 4 });
  expect(seen(shown)).toEqual(['too hot', 'too hot']);
  expect(shown.find('[role=status]').textContent).toBe('2 of 5 lines, 4 left out');
});

test('only the last lines are kept', () => {
  const shown = show([PRINTED, WARNED], 2);
  shown.say({ type: 'lines', lines: [FAILED], left_out: 0 });
  expect(seen(shown)).toEqual(['too warm', 'too hot']);
});

test('Clear forgets, and says so', () => {
  const shown = show();
  shown.button('Clear').click();
  expect([seen(shown), shown.find('[role=status]').textContent]).toEqual([[], '0 of 0 lines']);
});

test('a problem comes and goes', () => {
  const shown = show();
  shown.say({ type: 'problem', text: 'the engine has stopped; asking again …' });
  expect(shown.find('[role=alert]').textContent).toBe('the engine has stopped; asking again …');
  shown.say({ type: 'problem', text: '' });
  expect(shown.find('[role=alert]').textContent).toBe('');
});

test('keys do not reach what is around', () => {
  const shown = show();
  const around = jest.fn();
  document.body.addEventListener('keydown', around);
  shown.find('input').dispatchEvent(new KeyboardEvent('keydown', { key: 'a', bubbles: true }));
  expect(around).not.toHaveBeenCalled();
  document.body.removeEventListener('keydown', around);
});

test('nothing that was logged becomes markup', () => {
  const shown = show([[0, EVIL, EVIL, EVIL, EVIL]]);
  shown.say({ type: 'problem', text: EVIL });
  expect(shown.el.querySelector('img')).toBeNull();
  expect(seen(shown)).toEqual([EVIL]);
});
