import { ServerConnection } from '@jupyterlab/services';

import {
  actOnInstance,
  actOnModel,
  describe as words,
  fetchLoadable,
  fetchLogs,
  fetchStack,
  fetchStatus,
  loadModel,
  startDebugging,
} from '../client/api';
import { adder, asked, fakeServer, json, statusOf } from './samples';

const BASE = 'http://localhost:8888/user/me/pyserve/';

describe('the control API', () => {
  it('is asked below the base URL', async () => {
    const server = fakeServer();
    await expect(fetchStatus(server.settings)).resolves.toEqual(statusOf(adder));
    expect(asked(server)).toEqual([['GET', BASE + 'api/status?sample=1']]);
  });

  it('refuses what is not a status', async () => {
    await expect(fetchStatus(fakeServer({ engine: null, models: [] }).settings)).rejects.toThrow('not a status');
  });

  it('acts on models and instances, whatever their names hold', async () => {
    const server = fakeServer({});
    await actOnModel(server.settings, 'a b/../c', 'scale', { instances: 2 });
    await actOnInstance(server.settings, 'm', 'm/0?', 'kill');
    await loadModel(server.settings, 'a/b');
    expect(asked(server)).toEqual([
      ['POST', BASE + 'api/models/a%20b%2F..%2Fc/scale'],
      ['POST', BASE + 'api/models/m/instances/m%2F0%3F/kill'],
      ['POST', BASE + 'v2/repository/models/a%2Fb/load'],
    ]);
    await expect(server.requests[0]!.json()).resolves.toEqual({ instances: 2 });
  });

  it('passes on what the engine says', async () => {
    const server = fakeServer();
    server.answer = () => json({ error: "unknown model 'x'" }, 404);
    await expect(actOnModel(server.settings, 'x', 'drain')).rejects.toThrow("unknown model 'x'");
  });

  it('passes on what the Jupyter server says', async () => {
    const server = fakeServer();
    server.answer = () => json({ message: 'Forbidden' }, 403);
    await expect(actOnModel(server.settings, 'x', 'drain')).rejects.toThrow('Forbidden');
  });

  it('tells a server that is gone from one that refuses', async () => {
    const server = fakeServer();
    server.answer = () => Promise.reject(new TypeError('refused'));
    const error: unknown = await fetchStatus(server.settings).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ServerConnection.NetworkError);
    expect(words(error)).toBe('The Jupyter server does not answer.');
  });

  it('asks for the log lines that are meant, and for those since', async () => {
    const server = fakeServer({ records: [], next: 7 });
    const query = { instance: 'a&b', level: '', search: 'x=1', request: '' };
    await expect(fetchLogs(server.settings, 'm', query, 50, 3)).resolves.toEqual({ records: [], next: 7 });
    expect(asked(server)[0]![1]).toBe(BASE + 'api/models/m/logs?tail=50&instance=a%26b&search=x%3D1&after=3');
  });

  it('reads a stack, and nothing that is none', async () => {
    const server = fakeServer({ stack: 'Thread', request: 'r1', since_s: 2 });
    await expect(fetchStack(server.settings, 'm', 'm_0')).resolves.toEqual({
      text: 'Thread',
      request: 'r1',
      since_s: 2,
    });
    await expect(fetchStack(fakeServer({}).settings, 'm', 'm_0')).rejects.toThrow('not a stack');
  });

  it('says where a debugger can attach', async () => {
    const server = fakeServer({ host: '127.0.0.1', port: 5678 });
    await expect(startDebugging(server.settings, 'm', 'm_0')).resolves.toBe('127.0.0.1:5678');
    await expect(startDebugging(fakeServer({}).settings, 'm', 'm_0')).rejects.toThrow('not an address');
  });

  it('offers to load what is not loaded', async () => {
    const index = [{ name: 'b' }, { name: 'a', state: 'UNAVAILABLE' }, { name: 'c', state: 'READY' }, { name: 'b' }];
    await expect(fetchLoadable(fakeServer(index).settings)).resolves.toEqual(['a', 'b']);
  });
});
