import { StatusStore } from '../store';
import type { ISnapshot } from '../tokens';
import { adder, fakeServer, type IFakeServer, json, statusOf } from './samples';

function storeOf(server: IFakeServer): StatusStore {
  return new StatusStore({ serverSettings: server.settings, intervalMs: 1, standby: 'never' });
}

function next(store: StatusStore, wanted: (snapshot: ISnapshot) => boolean): Promise<ISnapshot> {
  return new Promise(resolve => {
    store.changed.connect((_, snapshot) => {
      if (wanted(snapshot)) {
        resolve(snapshot);
      }
    });
  });
}

describe('StatusStore', () => {
  let server: IFakeServer;
  let store: StatusStore;

  beforeEach(() => {
    server = fakeServer();
    store = storeOf(server);
  });

  afterEach(() => {
    store.dispose();
  });

  it('asks nothing before it is started', () => {
    expect(server.requests).toHaveLength(0);
    expect(store.snapshot).toEqual({ status: null, problem: null });
  });

  it('keeps asking once started', async () => {
    store.start();
    await next(store, () => server.requests.length >= 3);
    expect(store.snapshot).toEqual({ status: statusOf(adder), problem: null });
  });

  it('asks exactly once per refresh while stopped', async () => {
    await store.refresh();
    expect(store.snapshot.status).toEqual(statusOf(adder));
    await store.refresh();
    expect(server.requests).toHaveLength(2);
  });

  it('keeps the last status when the engine goes, and recovers', async () => {
    await store.refresh();
    server.answer = () => json({ error: 'The engine is starting.' }, 503);
    await store.refresh();
    expect(store.snapshot).toEqual({ status: statusOf(adder), problem: 'The engine is starting.' });
    server.answer = () => json(statusOf());
    await store.refresh();
    expect(store.snapshot).toEqual({ status: statusOf(), problem: null });
  });

  it('goes on after failures while it is started', async () => {
    server.answer = () => Promise.reject(new TypeError('refused'));
    store.start();
    const failed = await next(store, snapshot => snapshot.problem !== null);
    expect(failed.problem).toBe('The Jupyter server does not answer.');
    server.answer = () => json(statusOf(adder));
    const recovered = await next(store, snapshot => snapshot.problem === null);
    expect(recovered.status).toEqual(statusOf(adder));
  });

  it('names the likely cause of a 404', async () => {
    server.answer = () => json({ message: 'Not Found' }, 404);
    await store.refresh();
    expect(store.snapshot.problem).toMatch('not enabled');
  });

  it.each(['unload', 'restart'] as const)('looks again after %s', async action => {
    await store[action]('adder');
    expect(server.requests.map(request => request.method)).toEqual(['POST', 'GET']);
  });

  it('passes on why an action failed', async () => {
    server.answer = () => json({ error: "failed to unload 'adder'" }, 400);
    await expect(store.unload('adder')).rejects.toThrow("failed to unload 'adder'");
  });
});
