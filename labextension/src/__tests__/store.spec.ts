import { StatusStore } from '../state/store';
import type { ISnapshot } from '../tokens';
import { adder, asked, fakeServer, FakeSocket, type IFakeServer, instance, json, statusOf } from './samples';

const SNAPSHOT = { type: 'snapshot', seq: 1, status: statusOf(adder) };

describe('StatusStore', () => {
  let server: IFakeServer;
  let store: StatusStore;

  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick'] });
    server = fakeServer();
    store = new StatusStore({ serverSettings: server.settings });
  });

  afterEach(() => {
    store.dispose();
    jest.useRealTimers();
  });

  function socket(): FakeSocket {
    return FakeSocket.all[FakeSocket.all.length - 1]!;
  }

  async function pass(ms: number): Promise<void> {
    await jest.advanceTimersByTimeAsync(ms);
  }

  it('asks nothing before it is started, and nothing more once it is stopped', async () => {
    await pass(60_000);
    expect([FakeSocket.all.length, server.requests.length]).toEqual([0, 0]);
    store.start();
    socket().say(SNAPSHOT);
    store.stop();
    await pass(600_000);
    expect(socket().closed).toBe(true);
    expect([FakeSocket.all.length, server.requests.length, jest.getTimerCount()]).toEqual([1, 0, 0]);
  });

  it('listens below the base URL, with the token that a browser cannot send otherwise', () => {
    store.start();
    expect(socket().url).toBe('ws://localhost:8888/user/me/pyserve/api/events?interval_s=1&token=secret');
  });

  it('follows what is pushed, and asks for nothing', async () => {
    store.start();
    socket().say(SNAPSHOT);
    socket().say({ type: 'delta', seq: 2, models: { adder: { instances: { adder_0: { requests: 9 } } } } });
    await pass(5000);
    expect(store.snapshot.status!.models[0]!.instances[0]).toEqual({ ...instance, requests: 9 });
    expect(server.requests).toHaveLength(0);
  });

  it('takes no notice of what it cannot read', () => {
    store.start();
    socket().say(SNAPSHOT);
    socket().say('garbage');
    expect(store.snapshot).toEqual({ status: statusOf(adder), problem: null });
  });

  it('asks where there is no socket, and tries for one less and less often', async () => {
    store.start();
    socket().hangUp();
    await pass(0);
    expect(store.snapshot).toEqual({ status: statusOf(adder), problem: null });
    await pass(900);
    expect(FakeSocket.all).toHaveLength(1);
    await pass(200);
    expect(FakeSocket.all).toHaveLength(2);
    socket().hangUp();
    await pass(1500);
    expect(FakeSocket.all).toHaveLength(2);
    await pass(600);
    expect(FakeSocket.all).toHaveLength(3);
    expect(server.requests.length).toBeGreaterThanOrEqual(3);
  });

  it('stops asking once the socket is there', async () => {
    store.start();
    socket().hangUp();
    await pass(1100);
    socket().say(SNAPSHOT);
    const asked = server.requests.length;
    await pass(30_000);
    expect(server.requests).toHaveLength(asked);
  });

  it('takes a socket that says nothing for dead', async () => {
    store.start();
    socket().say(SNAPSHOT);
    await pass(30_000);
    socket().say({ type: 'ping', seq: 2 });
    await pass(30_000);
    expect(FakeSocket.all).toHaveLength(1);
    await pass(30_000);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it('goes on recording a model at rest', async () => {
    store.start();
    socket().say(SNAPSHOT);
    await pass(10_000);
    const { requests } = store.history.model('adder');
    expect(requests.length).toBeGreaterThanOrEqual(4);
    expect(requests.every(point => point.value === 0)).toBe(true);
  });

  it('tells the server of another interval', () => {
    store.start();
    socket().say(SNAPSHOT);
    store.intervalMs = 3000;
    expect(socket().sent).toEqual(['{"interval_s":3}']);
  });

  it('refreshes by a new socket where there is one', async () => {
    store.start();
    socket().say(SNAPSHOT);
    const refreshed = store.refresh();
    expect(FakeSocket.all.map(({ closed }) => closed)).toEqual([true, false]);
    socket().say({ ...SNAPSHOT, status: statusOf() });
    await refreshed;
    expect([store.snapshot.status, server.requests.length]).toEqual([statusOf(), 0]);
  });

  it('does not leave a refresh waiting for a socket that ended', async () => {
    store.start();
    socket().say(SNAPSHOT);
    const refreshed = store.refresh();
    socket().hangUp();
    await expect(refreshed).resolves.toBeUndefined();
  });

  it('asks exactly once per refresh while stopped', async () => {
    await store.refresh();
    expect(store.snapshot.status).toEqual(statusOf(adder));
    await store.refresh();
    expect([server.requests.length, FakeSocket.all.length]).toEqual([2, 0]);
  });

  it('keeps the last status when the engine goes, and recovers', async () => {
    const seen: ISnapshot[] = [];
    store.changed.connect((_, snapshot) => seen.push(snapshot));
    store.start();
    socket().say(SNAPSHOT);
    server.answer = () => json({ error: 'The engine is starting.' }, 503);
    socket().hangUp();
    await pass(500);
    expect(store.snapshot).toEqual({ status: statusOf(adder), problem: 'The engine is starting.' });
    await pass(1000);
    socket().say({ ...SNAPSHOT, status: statusOf() });
    expect(store.snapshot).toEqual({ status: statusOf(), problem: null });
    expect(seen[seen.length - 1]).toEqual(store.snapshot);
  });

  it.each([
    [() => json({ message: 'Not Found' }, 404), 'not enabled'],
    [() => Promise.reject(new TypeError('refused')), 'does not answer'],
    [() => json([]), 'not a status'],
  ])('says why there is nothing', async (answer, problem) => {
    server.answer = answer;
    await store.refresh();
    expect(store.snapshot.problem).toMatch(problem);
  });

  it('peeks at what runs without starting it, and takes nothing for a problem', async () => {
    await store.peek();
    expect(store.snapshot.status).toEqual(statusOf(adder));
    expect(asked(server)).toEqual([['GET', 'http://localhost:8888/user/me/pyserve/api/status?if_running=1']]);
    server.answer = () => json({ error: 'not running' }, 503);
    await store.peek();
    expect(store.snapshot).toEqual({ status: null, problem: null });
  });

  it('need not peek while it looks', async () => {
    store.start();
    socket().say(SNAPSHOT);
    await store.peek();
    expect(server.requests).toHaveLength(0);
  });
});
