/**
 * Names and values of whatever is selected; what cannot be had says why.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatBytes, formatMs, formatNumber, formatPercent, formatSeconds } from '../format';
import type { IEngineStatus, IInstanceStatus, ILatency, IModelStatus, ITensorMetadata } from '../status';
import { usePanel } from './context';

type Value = React.ReactNode;

/** A name, its value, and, where there is no value, the reason. */
export interface IFigure {
  readonly name: string;
  readonly value: Value;
  readonly missing?: string;
  readonly wide?: boolean;
}

export function FigureList({ figures }: { figures: readonly IFigure[] }): React.ReactElement {
  const { trans } = usePanel();
  return (
    <dl className="jp-PyServe-figures">
      {figures.map(({ name, value, missing, wide }) => (
        <div key={name} className={wide ? 'jp-PyServe-figure jp-mod-wide' : 'jp-PyServe-figure'}>
          <dt>{name}</dt>
          {value === null || value === '' ? (
            <dd className="jp-PyServe-missing">
              {missing ? trans.__('not available: %1', missing) : trans.__('not available')}
            </dd>
          ) : (
            <dd>{value}</dd>
          )}
        </div>
      ))}
    </dl>
  );
}

function shown<T>(value: T | null | undefined, format: (value: T) => Value): Value {
  return value === null || value === undefined ? null : format(value);
}

function latency(value: ILatency | null | undefined): Value {
  const { p50 = null, p99 = null } = value ?? {};
  return p50 === null ? null : `${formatMs(p50)} / ${p99 === null ? '–' : formatMs(p99)}`;
}

export function engineFigures(engine: IEngineStatus, showHost: boolean, trans: TranslationBundle): readonly IFigure[] {
  const host = engine.host;
  const used = host?.memory_used_bytes;
  const total = host?.memory_total_bytes;
  return [
    { name: trans.__('State'), value: engine.state },
    { name: trans.__('Process'), value: trans.__('pid %1', engine.pid) },
    { name: trans.__('Version'), value: engine.version },
    { name: trans.__('CPU'), value: shown(engine.cpu_percent, formatPercent) },
    { name: trans.__('Memory (PSS)'), value: shown(engine.pss_bytes, formatBytes) },
    ...(showHost && host
      ? [
          { name: trans.__('Host CPU'), value: shown(host.cpu_percent, formatPercent) },
          {
            name: trans.__('Host memory'),
            value: shown(used, nbytes =>
              total ? `${formatBytes(nbytes)} / ${formatBytes(total)}` : formatBytes(nbytes),
            ),
          },
        ]
      : []),
    ...(engine.http_url ? [{ name: 'HTTP', value: engine.http_url, wide: true }] : []),
    ...(engine.grpc_url ? [{ name: 'gRPC', value: engine.grpc_url, wide: true }] : []),
    { name: trans.__('Model repository'), value: engine.repositories.join('\n'), wide: true },
    ...(engine.shared ?? []).map(array => ({
      name: trans.__('Shared array %1', array.name),
      value: `${array.dtype} [${array.shape.join(', ')}], ${formatBytes(array.nbytes)}, ${(array.references ?? []).join(', ')}`,
      wide: true,
    })),
  ];
}

export function modelFigures(model: IModelStatus, trans: TranslationBundle): readonly IFigure[] {
  const { statistics } = model;
  const count = statistics?.inference_count ?? 0;
  const mean = (total_us: number | undefined): Value =>
    total_us === undefined || count === 0 ? null : formatMs(total_us / 1000 / count);
  const idle = trans.__('no request yet');
  return [
    ...(model.reason ? [{ name: trans.__('Reason'), value: <pre>{model.reason}</pre>, wide: true }] : []),
    ...(model.loading_error && model.loading_error !== model.reason
      ? [{ name: trans.__('Last failed load'), value: <pre>{model.loading_error}</pre>, wide: true }]
      : []),
    { name: trans.__('Requests'), value: shown(statistics?.success, formatNumber) },
    { name: trans.__('Failed'), value: shown(statistics?.failure, formatNumber) },
    { name: trans.__('Rejected'), value: shown(statistics?.rejected, formatNumber) },
    { name: trans.__('Queued'), value: shown(model.queue_depth, formatNumber) },
    { name: trans.__('Running'), value: shown(model.in_flight, formatNumber) },
    { name: trans.__('Latency p50 / p99'), value: latency(model.latency_ms), missing: idle },
    { name: trans.__('Mean time in queue'), value: mean(statistics?.queue_us), ...(count === 0 && { missing: idle }) },
    {
      name: trans.__('Mean time in model'),
      value: mean(statistics?.compute_us),
      ...(count === 0 && { missing: idle }),
    },
    { name: trans.__('Largest batch'), value: shown(model.max_batch_size, formatNumber) },
    { name: trans.__('Kept requests'), value: shown(model.recordings, formatNumber) },
    {
      name: trans.__('Inputs'),
      value: tensors(model.inputs),
      wide: true,
      missing: trans.__('the model is not loaded'),
    },
    {
      name: trans.__('Outputs'),
      value: tensors(model.outputs),
      wide: true,
      missing: trans.__('the model is not loaded'),
    },
  ];
}

function tensors(items: readonly ITensorMetadata[] | undefined): Value {
  return items === undefined || items.length === 0
    ? null
    : items.map(({ name, datatype, shape }) => `${name} ${datatype} [${shape.join(', ')}]`).join('\n');
}

export function instanceFigures(instance: IInstanceStatus, trans: TranslationBundle): readonly IFigure[] {
  return [
    ...(instance.last_error
      ? [{ name: trans.__('Last error'), value: <pre>{instance.last_error}</pre>, wide: true }]
      : []),
    {
      name: trans.__('Process'),
      value: shown(instance.pid, pid => trans.__('pid %1', pid)),
      missing: trans.__('not running'),
    },
    { name: trans.__('Uptime'), value: shown(instance.uptime_s, formatSeconds) },
    { name: trans.__('Requests'), value: formatNumber(instance.requests) },
    { name: trans.__('Failed'), value: formatNumber(instance.failures) },
    { name: trans.__('Latency p50 / p99'), value: latency(instance.latency_ms), missing: trans.__('no request yet') },
    { name: trans.__('CPU'), value: shown(instance.cpu_percent, formatPercent), ...why(instance, 'cpu_percent') },
    ...memoryFigures(instance, trans),
    { name: trans.__('Threads'), value: shown(instance.threads, formatNumber), ...why(instance, 'threads') },
    { name: trans.__('Open files'), value: shown(instance.fds, formatNumber), ...why(instance, 'fds') },
    ...gpuFigures(instance, trans),
    { name: trans.__('Restarts'), value: formatNumber(instance.restarts) },
    { name: trans.__('Last exit'), value: instance.last_exit ?? trans.__('none'), wide: Boolean(instance.last_exit) },
    { name: trans.__('Kind'), value: instance.kind },
    ...(instance.debug ? [{ name: trans.__('Debugger'), value: trans.__('port %1', instance.debug.port) }] : []),
    ...(instance.interpreter
      ? [
          {
            name: trans.__('Interpreter'),
            value: [instance.python, instance.interpreter].filter(Boolean).join(' '),
            wide: true,
          },
        ]
      : []),
  ];
}

/** PSS is what a process really costs; RSS counts what is shared once for each process, and is named as what it is. */
function memoryFigures(instance: IInstanceStatus, trans: TranslationBundle): readonly IFigure[] {
  const { arena_bytes: arena, arena_used_bytes: used } = instance;
  return [
    { name: trans.__('Memory (PSS)'), value: shown(instance.pss_bytes, formatBytes), ...why(instance, 'pss_bytes') },
    { name: trans.__('Memory (USS)'), value: shown(instance.uss_bytes, formatBytes), ...why(instance, 'uss_bytes') },
    { name: trans.__('Memory (RSS)'), value: shown(instance.rss_bytes, formatBytes), ...why(instance, 'rss_bytes') },
    {
      name: trans.__('Shared memory'),
      value: shown(arena, nbytes =>
        used === null || used === undefined ? formatBytes(nbytes) : `${formatBytes(used)} / ${formatBytes(nbytes)}`,
      ),
    },
  ];
}

function gpuFigures(instance: IInstanceStatus, trans: TranslationBundle): readonly IFigure[] {
  if (!instance.gpu || instance.gpu.length === 0) {
    return [{ name: trans.__('GPU memory'), value: instance.gpu ? trans.__('none') : null, ...why(instance, 'gpu') }];
  }
  return instance.gpu.map(({ device, uuid, bytes }) => ({
    name: trans.__('GPU %1', device),
    value: <span title={uuid}>{formatBytes(bytes)}</span>,
  }));
}

function why(instance: IInstanceStatus, field: string): { missing?: string } {
  const reason = instance.unavailable?.[field];
  return reason === undefined ? {} : { missing: reason };
}
