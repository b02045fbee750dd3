import bench, { layout } from '../../../../jupyter_pyserve/notebook/widgets/bench.js';
import { EVIL, Shown } from './place';

const LEVEL = {
  concurrency: 1,
  throughput: 1000,
  p50_ms: 0.5,
  p90_ms: 1,
  p99_ms: 2,
  requests: 2000,
  failures: 0,
  error: '',
};
const FAILED = { ...LEVEL, concurrency: 2, p50_ms: null, p90_ms: null, p99_ms: null, failures: 3, error: 'no memory' };
const STATE = { type: 'state', name: 'adder', running: true, share: 0.25, concurrency: 2, levels: [LEVEL] };
const DONE = { ...STATE, running: false, via: 'lane', note: 'cancelled', error: '' };

function show(message: object): Shown {
  const shown = new Shown(bench);
  shown.sent.length = 0;
  shown.say(message);
  return shown;
}

test('the axes end at the largest values, and levels without an answer have no place', () => {
  const { xEnd, yEnd, answered, curves } = layout([LEVEL, FAILED]);
  expect([xEnd, yEnd, answered, curves.map(curve => curve.length)]).toEqual([1000, 2, [LEVEL], [1, 1, 1]]);
  expect(layout([]).curves).toEqual([[], [], []]);
});

test('while it goes on there is progress, and a way to end it', () => {
  const shown = show(STATE);
  expect(shown.find<HTMLProgressElement>('progress').value).toBe(0.25);
  expect(shown.find('[role=status]').textContent).toBe('25 %, 2 at once');
  shown.button('Cancel').click();
  expect([shown.sent, shown.button('Cancel').disabled]).toEqual([[{ type: 'cancel' }], true]);
});

test('at its end there is a table, and a way to begin again', () => {
  const shown = show(DONE);
  expect(shown.find('progress').hidden).toBe(true);
  expect(shown.find('[role=status]').textContent).toBe('over lane, cancelled');
  expect(shown.texts('td')).toEqual(['1', '1,000', '500 µs', '1 ms', '2 ms', '2,000', '0']);
  expect(shown.find('svg').getAttribute('aria-label')).toBe('Latency over requests per second. 1: 1,000/s');
  shown.button('Measure again').click();
  expect(shown.sent).toEqual([{ type: 'start' }]);
  shown.say({ ...STATE, levels: [] });
  expect([shown.find('table').hidden, shown.button('Cancel').disabled]).toEqual([true, false]);
});

test('failures are told', () => {
  const shown = show({ ...DONE, levels: [LEVEL, FAILED], error: 'it broke off' });
  expect(shown.find('[role=alert]').textContent).toBe('it broke off\n3 failed with 2 at once: no memory');
});

test('nothing of a model becomes markup', () => {
  const shown = show({ ...DONE, name: EVIL, note: EVIL, error: EVIL, levels: [{ ...FAILED, error: EVIL }] });
  expect(shown.el.querySelector('img')).toBeNull();
  expect(shown.find('strong').textContent).toBe(EVIL);
});
