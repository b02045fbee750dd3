import monitor, {
  engineWords,
  merge,
  reasons,
  type Change,
} from '../../../../jupyter_pyserve/notebook/widgets/monitor.js';
import { EVIL, Shown } from './place';

const ROW = { name: 'adder_0', state: 'READY', pid: 7, requests: 1234, failures: 0, p50_ms: 0.45, memory: 2097152 };
const MODEL: Change = {
  state: 'READY',
  success: 3,
  failure: 1,
  queue_depth: 2,
  batch_sizes: { 8: 1, 16: 2 },
  instances: { a: { ...ROW, why: { gpu: 'there is no GPU' } } },
  points: [
    [90, 0, null, null, 1, 10],
    [100, 5, 0.4, 2, 2, 20],
  ],
};
const ENGINE = { state: 'READY', pid: 9, cpu_percent: 0.5, pss_bytes: 1024 };
const SNAPSHOT = { type: 'snapshot', name: null, time_s: 100, engine: ENGINE, models: { adder: MODEL }, problem: '' };

function show(message: object = SNAPSHOT): Shown {
  const shown = new Shown(monitor);
  shown.say(message);
  return shown;
}

describe('merge', () => {
  it('adds, changes and forgets', () => {
    const models = merge(new Map(), { one: MODEL, two: MODEL });
    merge(models, { one: { state: 'UNLOADING', instances: { a: { pid: 8 }, b: ROW }, points: [[101, 1]] }, two: null });
    const one = models.get('one');
    expect([...models.keys()]).toEqual(['one']);
    expect([one?.state, one?.success, one?.instances.a?.pid, one?.instances.a?.name]).toEqual([
      'UNLOADING',
      3,
      8,
      'adder_0',
    ]);
    merge(models, { one: { instances: { a: null } } });
    expect(Object.keys(models.get('one')?.instances ?? {})).toEqual(['b']);
  });

  it('keeps the last points only', () => {
    const models = merge(new Map(), { one: {} });
    const points = Array.from({ length: 130 }, (_, time_s) => [time_s]);
    expect(
      merge(models, { one: { points } })
        .get('one')
        ?.points.map(([time_s]) => time_s),
    ).toEqual(points.slice(10).flat());
  });

  it('takes whatever name a model has', () => {
    const models = merge(new Map(), JSON.parse('{"__proto__": {"state": "READY"}}') as Record<string, Change>);
    expect(models.get('__proto__')?.state).toBe('READY');
  });
});

test('the line of the engine has what is known', () => {
  expect(engineWords({})).toBe('engine , pid ');
  expect(engineWords({ ...ENGINE, host_cpu_percent: 50, host_memory: [1024, 2048] })).toBe(
    'engine READY, pid 9 · CPU 0.5 % · memory 1.0 KiB · machine: CPU 50 %, 1.0 KiB of 2.0 KiB',
  );
});

test('each reason of missing figures once', () => {
  const why = { gpu: 'none', cpu: 'too early' };
  expect(reasons({ instances: { a: { why }, b: { why } } })).toBe('gpu: none; cpu: too early');
});

test('a card with figures, plots and processes', () => {
  const shown = show();
  expect(shown.find('section > header').textContent).toBe('adderREADY3 requests, 1 failures, 2 waiting');
  expect(shown.texts('tbody tr > *')).toEqual([
    'adder_0',
    'READY',
    '7',
    '1,234',
    '0',
    '450 µs',
    '',
    '2.0 MiB',
    '',
    '–',
  ]);
  expect(shown.find('[data-column=GPU][title]').title).toBe('there is no GPU');
  const labels = [...shown.el.querySelectorAll('svg')].map(picture => picture.getAttribute('aria-label'));
  expect(labels).toEqual([
    'Requests: 5/s',
    'p50, p99: 400 µs, 2 ms',
    'Memory: 20 B',
    'CPU: 2.0 %',
    'Batch sizes: 8: 1 times, 16: 2 times',
  ]);
});

test('a tick changes texts and leaves nodes', () => {
  const shown = show();
  const row = shown.find('tbody tr');
  const models = { adder: { instances: { a: { requests: 1240, busy_s: 3, state: 'BUSY' } }, points: [[101, 6]] } };
  shown.say({ type: 'tick', time_s: 101, engine: { ...ENGINE, pid: 10 }, models });
  expect(shown.find('tbody tr')).toBe(row);
  expect([row.dataset.state, shown.texts('tbody td').slice(0, 3)]).toEqual(['BUSY', ['BUSY 3.0 s', '7', '1,240']]);
  expect(shown.find('.pyserve-bar-line > div').textContent).toMatch(/^engine READY, pid 10/);
});

test('processes and models that are gone go, and may come again', () => {
  const shown = show();
  shown.say({ type: 'tick', time_s: 101, models: { adder: { instances: { a: null } } } });
  expect(shown.texts('tbody tr')).toEqual([]);
  shown.say({ type: 'tick', time_s: 102, models: { adder: null } });
  expect([shown.texts('section'), shown.find('[role=alert]').textContent]).toEqual([[], 'no models']);
  shown.say({ type: 'tick', time_s: 103, models: { adder: MODEL } });
  expect([shown.texts('tbody tr').length, shown.find('[role=alert]').hidden]).toEqual([1, true]);
});

test.each([
  [{ ...SNAPSHOT, models: {} }, 'no models'],
  [{ ...SNAPSHOT, models: {}, name: 'other' }, "there is no model 'other'"],
  [{ ...SNAPSHOT, engine: {}, models: {} }, ''],
  [{ ...SNAPSHOT, problem: 'the engine has stopped' }, 'the engine has stopped'],
])('what is missing is said', (message, problem) => {
  const alert = show(message).find('[role=alert]');
  expect([alert.textContent, alert.hidden]).toEqual([problem, problem === '']);
});

test('while the engine is away the last figures stay', () => {
  const shown = show();
  shown.say({ type: 'problem', text: 'the engine has stopped' });
  expect(shown.find('[role=alert]').textContent).toBe('the engine has stopped; asking again …');
  expect(shown.texts('section').length).toBe(1);
});

test('nothing of a model becomes markup', () => {
  const row = { ...ROW, name: EVIL, state: EVIL, last_exit: EVIL, why: { memory: EVIL } };
  const model = { ...MODEL, state: EVIL, reason: EVIL, instances: { [EVIL]: row }, batch_sizes: { [EVIL]: 1 } };
  const shown = show({ ...SNAPSHOT, models: { [EVIL]: model }, problem: EVIL });
  expect(shown.el.querySelector('img')).toBeNull();
  expect(shown.find('tbody th').textContent).toBe(EVIL);
});
