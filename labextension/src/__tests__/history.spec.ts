import { History, MAX_POINTS } from '../state/history';
import { adder, instance, statusOf } from './samples';

function values(points: readonly { value: number }[]): number[] {
  return points.map(point => point.value);
}

function statusWith(changes: object): ReturnType<typeof statusOf> {
  return statusOf({ ...adder, instances: [{ ...instance, ...changes }] });
}

describe('History', () => {
  it('makes rates of counters', () => {
    const history = new History();
    [10, 30, 30].forEach((requests, index) => {
      history.record(statusWith({ requests }), 2 * index);
    });
    expect(values(history.instance('adder', instance).requests)).toEqual([10, 0]);
    expect(values(history.model('adder').requests)).toEqual([10, 0]);
  });

  it('never shows a negative rate', () => {
    const history = new History();
    history.record(statusOf({ ...adder, statistics: { success: 9, failure: 1 } }), 0);
    history.record(statusOf({ ...adder, statistics: { success: 2, failure: 0 } }), 1);
    expect(values(history.model('adder').requests)).toEqual([0]);
  });

  it('sums what the processes of a model use, PSS before RSS', () => {
    const history = new History();
    const one = { ...instance, pss_bytes: 10, rss_bytes: 90, cpu_percent: 1 };
    const two = { ...instance, name: 'adder_1', pss_bytes: null, rss_bytes: 5, cpu_percent: 2 };
    history.record(statusOf({ ...adder, instances: [one, two] }), 0);
    expect(values(history.model('adder').memory)).toEqual([15]);
    expect(values(history.model('adder').cpu)).toEqual([3]);
  });

  it('has no point for what is not known', () => {
    const history = new History();
    history.record(statusWith({ cpu_percent: null }), 0);
    expect(history.instance('adder', instance).cpu).toEqual([]);
  });

  it('is bounded, and forgets what is gone', () => {
    const history = new History();
    for (let time_s = 0; time_s < 2 * MAX_POINTS; time_s += 1) {
      history.record(statusWith({ cpu_percent: time_s }), time_s);
    }
    const cpu = values(history.instance('adder', instance).cpu);
    expect([cpu.length, cpu[cpu.length - 1]]).toEqual([MAX_POINTS, 2 * MAX_POINTS - 1]);
    history.record(statusOf(), 1000);
    expect(history.instance('adder', instance).cpu).toEqual([]);
  });

  it('takes a pid that came again for another process', () => {
    const history = new History();
    history.record(statusWith({ cpu_percent: 50 }), 0);
    history.record(statusWith({ cpu_percent: 1, start_ticks: 8 }), 1);
    expect(values(history.instance('adder', { ...instance, start_ticks: 8 }).cpu)).toEqual([1]);
  });
});
