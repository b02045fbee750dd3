/**
 * Figures over the last two minutes, and how large batches were, as small inline SVG.
 */

import * as React from 'react';

import { formatBytes, formatMs, formatNumber, formatPercent } from '../format';
import { type Figure, FIGURES, type IPoint, MAX_POINTS, type Series } from '../state/history';
import type { BatchSizes } from '../status';
import { usePanel } from './context';

const WIDTH = 240;
const HEIGHT = 36;

const FORMATS: Readonly<Record<Figure, (value: number) => string>> = {
  requests: value => `${formatNumber(value)}/s`,
  latency: formatMs,
  memory: formatBytes,
  cpu: formatPercent,
};

export function Plots({ series, batchSizes }: { series: Series; batchSizes: BatchSizes | null }): React.ReactElement {
  const { trans } = usePanel();
  const titles: Readonly<Record<Figure, string>> = {
    requests: trans.__('Requests'),
    latency: trans.__('Latency (p50)'),
    memory: trans.__('Memory'),
    cpu: trans.__('CPU'),
  };
  return (
    <div className="jp-PyServe-plots">
      {FIGURES.map(figure => (
        <Sparkline key={figure} title={titles[figure]} points={series[figure]} format={FORMATS[figure]} />
      ))}
      <Histogram title={trans.__('Batch sizes')} sizes={batchSizes ?? {}} />
    </div>
  );
}

interface ISparklineProps {
  readonly title: string;
  readonly points: readonly IPoint[];
  readonly format: (value: number) => string;
}

export function Sparkline({ title, points, format }: ISparklineProps): React.ReactElement {
  const { trans, intervalMs } = usePanel();
  const last = points[points.length - 1];
  const peak = Math.max(...points.map(point => point.value), 0);
  const now = last === undefined ? trans.__('nothing yet') : format(last.value);
  const most = trans.__('max %1', format(peak));
  return (
    <figure className="jp-PyServe-plot">
      <figcaption>
        <span>{title}</span>
        <span className="jp-PyServe-detail">{last === undefined ? '' : most}</span>
        <strong>{now}</strong>
      </figcaption>
      <svg
        role="img"
        aria-label={`${title}: ${now}, ${most}`}
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
      >
        {last !== undefined && (
          <>
            <polygon className="jp-PyServe-area" points={areaOf(points, peak, intervalMs())} />
            <polyline className="jp-PyServe-line" points={lineOf(points, peak, intervalMs())} />
          </>
        )}
      </svg>
    </figure>
  );
}

/** The newest point is on the right; a place to the left is a time. */
function lineOf(points: readonly IPoint[], peak: number, intervalMs: number): string {
  const end_s = points[points.length - 1]?.time_s ?? 0;
  const span_s = (MAX_POINTS * intervalMs) / 1000;
  return points
    .map(({ time_s, value }) => {
      const x = WIDTH * (1 - (end_s - time_s) / span_s);
      const y = HEIGHT - 2 - (peak > 0 ? (HEIGHT - 6) * (value / peak) : 0);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(' ');
}

function areaOf(points: readonly IPoint[], peak: number, intervalMs: number): string {
  const line = lineOf(points, peak, intervalMs);
  const left = line.slice(0, line.indexOf(','));
  return `${left},${HEIGHT} ${line} ${WIDTH},${HEIGHT}`;
}

const BAR_PX = 16;
const MAX_BARS = 16;

export function Histogram({ title, sizes }: { title: string; sizes: BatchSizes }): React.ReactElement {
  const { trans } = usePanel();
  const bars = Object.entries(sizes)
    .map(([size, count]) => ({ size: Number(size), count }))
    .sort((a, b) => a.size - b.size)
    .slice(-MAX_BARS);
  const most = Math.max(...bars.map(bar => bar.count), 1);
  const words = bars.map(({ size, count }) => trans.__('%1: %2 times', size, formatNumber(count))).join(', ');
  return (
    <figure className="jp-PyServe-plot">
      <figcaption>
        <span>{title}</span>
        {bars.length === 0 && <strong>{trans.__('nothing yet')}</strong>}
      </figcaption>
      {bars.length > 0 && (
        <svg
          role="img"
          aria-label={`${title}: ${words}`}
          viewBox={`0 0 ${MAX_BARS * BAR_PX} ${HEIGHT + 12}`}
          preserveAspectRatio="xMinYMid meet"
        >
          {bars.map(({ size, count }, index) => {
            const height = Math.max(1, (HEIGHT - 4) * (count / most));
            return (
              <g key={size} transform={`translate(${index * BAR_PX} 0)`}>
                <title>{trans.__('%1: %2 times', size, formatNumber(count))}</title>
                <rect className="jp-PyServe-bar" x="1" y={HEIGHT - height} width={BAR_PX - 3} height={height} />
                <text x={(BAR_PX - 1) / 2} y={HEIGHT + 10} textAnchor="middle">
                  {size}
                </text>
              </g>
            );
          })}
        </svg>
      )}
    </figure>
  );
}
