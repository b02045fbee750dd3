import { ServerConnection } from '@jupyterlab/services';

import { fetchStatus, restartModel, undeployModel } from '../api';
import { adder, fakeServer, json, statusOf } from './samples';

describe('api', () => {
  it('asks below the base URL', async () => {
    const server = fakeServer();
    await expect(fetchStatus(server.settings)).resolves.toEqual(statusOf(adder));
    expect(new URL(server.requests[0]!.url).pathname).toBe('/user/me/pyserve/api/status');
  });

  it.each([
    ['undeploy', undeployModel, { delete: false }],
    ['restart', restartModel, {}],
  ])('posts %s with the name as one path segment', async (action, call, body) => {
    const server = fakeServer({});
    await call(server.settings, '../a b?');
    const request = server.requests[0]!;
    expect(request.method).toBe('POST');
    expect(new URL(request.url).pathname).toBe(`/user/me/pyserve/api/models/..%2Fa%20b%3F/${action}`);
    await expect(request.json()).resolves.toEqual(body);
  });

  it.each([
    [{ error: 'no such model' }, 'no such model'],
    [{ message: 'the engine does not run' }, 'the engine does not run'],
  ])('says what the server says: %j', async (body, message) => {
    const server = fakeServer();
    server.answer = () => json(body, 503);
    await expect(fetchStatus(server.settings)).rejects.toThrow(message);
  });

  it('tells a dead server from an unhappy one', async () => {
    const server = fakeServer();
    server.answer = () => Promise.reject(new TypeError('refused'));
    await expect(fetchStatus(server.settings)).rejects.toBeInstanceOf(ServerConnection.NetworkError);
  });

  it.each([[null], [[]], [{ models: [] }], [{ engine: {} }]])('refuses %j as a status', async body => {
    await expect(fetchStatus(fakeServer(body).settings)).rejects.toThrow('not a status');
  });
});
