/**
 * Figures as people read them. Pure.
 */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function formatBytes(nbytes: number): string {
  let value = nbytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[unit] ?? ''}`;
}

export function formatNumber(value: number): string {
  if (Number.isInteger(value)) {
    return value.toLocaleString('en');
  }
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(Math.abs(value) >= 10 ? 1 : 2);
}

export function formatPercent(value: number): string {
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
}

export function formatMs(value: number): string {
  return value < 1 ? `${(value * 1000).toFixed(0)} µs` : `${formatNumber(value)} ms`;
}

export function formatSeconds(value_s: number): string {
  if (value_s < 60) {
    return `${value_s < 10 ? value_s.toFixed(1) : value_s.toFixed(0)} s`;
  }
  const minutes = Math.floor(value_s / 60);
  if (minutes < 60) {
    return `${minutes} min ${Math.floor(value_s % 60)} s`;
  }
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

export function formatTime(time_s: number): string {
  return new Date(time_s * 1000).toLocaleTimeString('en-GB');
}

/** The file's name of a notebook's path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
