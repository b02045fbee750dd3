import { applyMessage, parseMessage } from '../state/delta';
import type { IStatus } from '../status';
import { adder, instance, statusOf } from './samples';

const other = { ...adder, name: 'other' };

function after(status: IStatus, delta: object): IStatus {
  const message = parseMessage(JSON.stringify({ type: 'delta', seq: 2, ...delta }));
  return applyMessage(status, message!)!;
}

describe('event messages', () => {
  it.each(['not json', '[]', 'null', '{"type":"snapshot","status":{}}', '{"type":"something else"}'])(
    'takes no notice of %s',
    text => {
      expect(parseMessage(text)).toBeNull();
    },
  );

  it('starts with a snapshot', () => {
    const message = parseMessage(JSON.stringify({ type: 'snapshot', seq: 1, status: statusOf(adder) }))!;
    expect(applyMessage(null, message)).toEqual(statusOf(adder));
    expect(applyMessage(statusOf(other), message)).toEqual(statusOf(adder));
  });

  it('makes nothing of a change of what was never told', () => {
    expect(applyMessage(null, parseMessage('{"type":"delta","seq":1,"models":{}}')!)).toBeNull();
  });

  it('changes members and leaves the rest the same object', () => {
    const before = statusOf(adder, other);
    const status = after(before, {
      models: { adder: { state: 'UNAVAILABLE', instances: { adder_0: { requests: 8 } } } },
    });
    expect(status.models[0]).toEqual({ ...adder, state: 'UNAVAILABLE', instances: [{ ...instance, requests: 8 }] });
    expect(status.models[1]).toBe(other);
    expect(status.engine).toBe(before.engine);
  });

  it('changes the engine alone', () => {
    const before = statusOf(adder);
    const status = after(before, { engine: { cpu_percent: 3 } });
    expect(status.engine).toEqual({ ...before.engine, cpu_percent: 3 });
    expect(status.models).toBe(before.models);
  });

  it('takes away what is null and adds what is new, in order', () => {
    const added = { ...instance, name: 'adder_1' };
    expect(after(statusOf(other), { models: { other: null, adder } }).models.map(model => model.name)).toEqual([
      'adder',
    ]);
    expect(after(statusOf(other), { models: { adder } }).models.map(model => model.name)).toEqual(['adder', 'other']);
    const scaled = after(statusOf(adder), { models: { adder: { instances: { adder_0: null, adder_1: added } } } });
    expect(scaled.models[0]!.instances).toEqual([added]);
  });

  it('gives a model that a change is the first to name all its members', () => {
    const status = after(statusOf(), { models: { adder: { state: 'LOADING' } } });
    expect(status.models[0]).toMatchObject({ name: 'adder', state: 'LOADING', versions: [], instances: [] });
  });

  it('keeps everything on a ping', () => {
    const status = statusOf(adder);
    expect(applyMessage(status, parseMessage('{"type":"ping","seq":9}')!)).toBe(status);
  });
});
