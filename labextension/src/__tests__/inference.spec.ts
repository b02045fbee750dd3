import { FormError, generateBody, type ICall, infer, inferBody, pretty, stream, tensorOf } from '../client/inference';
import { asked, fakeServer, json } from './samples';

const INPUT = { name: 'IN', datatype: 'FP32', shape: [-1, 2] };

function call(text: string, changes: Partial<ICall> = {}): ICall {
  return { model: 'm', version: '', requestId: '', parameters: '', inputs: [{ input: INPUT, text }], ...changes };
}

const running = new AbortController().signal;

describe('a request typed by hand', () => {
  it.each([
    ['[[1, 2], [3, 4]]', [2, 2], [1, 2, 3, 4]],
    ['[]', [0], []],
    ['["a"]', [1], ['a']],
    ['5', [1], [5]],
    ['[[], []]', [2, 0], []],
  ])('has the shape of its lists: %s', (text, shape, data) => {
    expect(tensorOf(text)).toEqual({ shape, data });
  });

  it.each([
    ['[1,', 'is not JSON'],
    ['[[1], [2, 3]]', 'different lengths'],
    ['[{"a": 1}]', 'numbers, strings'],
    ['[null]', 'numbers, strings'],
  ])('is refused with the name of the input: %s', (text, problem) => {
    expect(() => inferBody(call(text))).toThrow(FormError);
    expect(() => inferBody(call(text))).toThrow(new RegExp(`^IN .*${problem}`));
  });

  it('becomes an inference request', () => {
    expect(JSON.parse(inferBody(call('[[1, 2]]')))).toEqual({
      inputs: [{ name: 'IN', datatype: 'FP32', shape: [1, 2], data: [1, 2] }],
    });
    const full = inferBody(call('[[1, 2]]', { requestId: 'r', parameters: '{"priority": 1}' }));
    expect(JSON.parse(full)).toMatchObject({ id: 'r', parameters: { priority: 1 } });
  });

  it('becomes a generate request', () => {
    const inputs = [
      { input: INPUT, text: '[[1, 2]]' },
      { input: { name: 'N', datatype: 'INT32', shape: [1] }, text: '[3]' },
    ];
    expect(JSON.parse(generateBody(call('', { inputs, parameters: '{"t": 1}', requestId: 'r' })))).toEqual({
      id: 'r',
      IN: [1, 2],
      N: 3,
      t: 1,
    });
  });

  it.each(['[]', '1', '{'])('has parameters that are an object, not %s', parameters => {
    expect(() => inferBody(call('[]', { parameters }))).toThrow('not a JSON object');
  });

  it('says what JSON cannot carry', () => {
    const inputs = [{ input: { ...INPUT, datatype: 'FP16' }, text: '[[1, 2]]' }];
    expect(() => inferBody(call('', { inputs }))).toThrow('IN: FP16 has no form in JSON');
  });

  it('is sent to a version where one is meant', async () => {
    const server = fakeServer({ outputs: [] });
    await infer(server.settings, call('[]'), running);
    await infer(server.settings, call('[]', { version: '3' }), running);
    expect(asked(server).map(([, url]) => url!.split('/pyserve/')[1])).toEqual([
      'v2/models/m/infer',
      'v2/models/m/versions/3/infer',
    ]);
  });

  it('fails with the words of the model', async () => {
    const server = fakeServer();
    server.answer = () => json({ error: 'ValueError: no' }, 500);
    await expect(infer(server.settings, call('[]'), running)).rejects.toThrow('ValueError: no');
  });

  it('hands on the events of a stream, however they are cut', async () => {
    const server = fakeServer();
    const parts = ['data: {"a":1}\n', '\ndata: {"a"', ':2}\n\n'];
    const encoder = new TextEncoder();
    let read = 0;
    const body = { getReader: () => ({ read: () => Promise.resolve(part()) }) };
    const part = (): object => {
      const text = parts[read++];
      return text === undefined ? { done: true } : { done: false, value: encoder.encode(text) };
    };
    server.answer = () => ({ ok: true, status: 200, headers: new Headers(), body }) as unknown as Response;
    const events: string[] = [];
    await stream(server.settings, call('[]'), running, event => events.push(event));
    expect(events.map(event => JSON.parse(event) as unknown)).toEqual([{ a: 1 }, { a: 2 }]);
  });

  it('is shown with one line for each innermost list', () => {
    expect(pretty('{"a":[1,2],"b":[[1],[2]]}')).toBe('{\n  "a": [ 1, 2 ],\n  "b": [\n    [ 1 ],\n    [ 2 ]\n  ]\n}');
    expect(pretty('no JSON')).toBe('no JSON');
  });
});
