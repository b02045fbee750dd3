/**
 * The last minutes of figures, for plots: a bounded series for each model and each process. Reads no clock: the time
 * of a status is an argument.
 */

import type { IInstanceStatus, IModelStatus, IStatus } from '../status';

export interface IPoint {
  readonly time_s: number;
  readonly value: number;
}

export const FIGURES = ['requests', 'latency', 'memory', 'cpu'] as const;

export type Figure = (typeof FIGURES)[number];

export type Series = Readonly<Record<Figure, readonly IPoint[]>>;

export interface IHistory {
  model(name: string): Series;
  instance(model: string, instance: IInstanceStatus): Series;
}

const EMPTY: Series = { requests: [], latency: [], memory: [], cpu: [] };

/** Two minutes at one a second. */
export const MAX_POINTS = 120;

interface ITrack {
  readonly series: Record<Figure, IPoint[]>;
  count: number | null;
  time_s: number;
}

interface ISample {
  readonly count: number;
  readonly latency: number | null;
  readonly memory: number | null;
  readonly cpu: number | null;
}

export class History implements IHistory {
  model(name: string): Series {
    return this._tracks.get(modelKey(name))?.series ?? EMPTY;
  }

  instance(model: string, instance: IInstanceStatus): Series {
    return this._tracks.get(instanceKey(model, instance))?.series ?? EMPTY;
  }

  /** One more point for everything that is there; what is gone is forgotten. */
  record(status: IStatus, time_s: number): void {
    const seen = new Set<string>();
    const add = (key: string, sample: ISample): void => {
      seen.add(key);
      let track = this._tracks.get(key);
      if (track === undefined) {
        track = { series: { requests: [], latency: [], memory: [], cpu: [] }, count: null, time_s };
        this._tracks.set(key, track);
      }
      append(track, sample, time_s);
    };
    for (const model of status.models) {
      add(modelKey(model.name), modelSample(model));
      for (const instance of model.instances) {
        add(instanceKey(model.name, instance), instanceSample(instance));
      }
    }
    for (const key of this._tracks.keys()) {
      if (!seen.has(key)) {
        this._tracks.delete(key);
      }
    }
  }

  private readonly _tracks = new Map<string, ITrack>();
}

function append(track: ITrack, sample: ISample, time_s: number): void {
  const { series, count } = track;
  const elapsed_s = time_s - track.time_s;
  if (count !== null && elapsed_s > 0) {
    // A counter that fell belongs to a new process.
    push(series.requests, Math.max(0, sample.count - count) / elapsed_s, time_s);
  }
  track.count = sample.count;
  track.time_s = time_s;
  push(series.latency, sample.latency, time_s);
  push(series.memory, sample.memory, time_s);
  push(series.cpu, sample.cpu, time_s);
}

function push(points: IPoint[], value: number | null, time_s: number): void {
  if (value !== null) {
    points.push({ time_s, value });
    if (points.length > MAX_POINTS) {
      points.shift();
    }
  }
}

function modelSample(model: IModelStatus): ISample {
  return {
    count: requestsOf(model),
    latency: model.latency_ms?.p50 ?? null,
    memory: sum(model.instances.map(memoryOf)),
    cpu: sum(model.instances.map(instance => instance.cpu_percent ?? null)),
  };
}

function instanceSample(instance: IInstanceStatus): ISample {
  return {
    count: instance.requests,
    latency: instance.latency_ms?.p50 ?? null,
    memory: memoryOf(instance),
    cpu: instance.cpu_percent ?? null,
  };
}

/** How many requests a model has answered, however it answered them. */
export function requestsOf(model: IModelStatus): number {
  const { success, failure } = model.statistics ?? {};
  if (success !== undefined) {
    return success + (failure ?? 0);
  }
  return model.instances.reduce((total, instance) => total + instance.requests, 0);
}

/** What a process really costs, or the nearest thing to it that is known. */
export function memoryOf(instance: IInstanceStatus): number | null {
  return instance.pss_bytes ?? instance.rss_bytes ?? null;
}

function sum(values: readonly (number | null)[]): number | null {
  const known = values.filter((value): value is number => value !== null);
  return known.length > 0 ? known.reduce((total, value) => total + value, 0) : null;
}

function modelKey(name: string): string {
  return JSON.stringify([name]);
}

// A pid comes again; with the time of its start it does not.
function instanceKey(model: string, { name, pid, start_ticks }: IInstanceStatus): string {
  return JSON.stringify([model, name, pid, start_ticks ?? null]);
}
