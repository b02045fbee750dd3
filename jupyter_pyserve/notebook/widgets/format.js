/**
 * Figures as people read them, here and in the side panel. Pure; `figures.py` says the same in Python, and a table of
 * examples holds both to it.
 */

/** Formats of 0, 1 and 2 decimals. */
const DECIMALS = [0, 1, 2].map(
  digits => new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);

/** @type {(value: number, digits: number) => string} */
const fixed = (value, digits) => /** @type {Intl.NumberFormat} */ (DECIMALS[digits]).format(value);

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** @param {number} nbytes */
export function formatBytes(nbytes) {
  let value = nbytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${fixed(value, unit === 0 || value >= 100 ? 0 : 1)} ${UNITS[unit] ?? ''}`;
}

/** @param {number} value */
export function formatNumber(value) {
  const size = Math.abs(value);
  return fixed(value, Number.isInteger(value) || size >= 100 ? 0 : size >= 10 ? 1 : 2);
}

/** @param {number} value */
export function formatPercent(value) {
  return `${fixed(value, value >= 10 || value === 0 ? 0 : 1)} %`;
}

/** @param {number} value */
export function formatMs(value) {
  return value < 0.9995 ? `${fixed(value * 1000, 0)} µs` : `${formatNumber(value)} ms`;
}

/** @param {number} value_s */
export function formatSeconds(value_s) {
  if (value_s < 60) {
    return `${fixed(value_s, value_s < 10 ? 1 : 0)} s`;
  }
  const minutes = Math.floor(value_s / 60);
  if (minutes < 60) {
    return `${minutes} min ${Math.floor(value_s % 60)} s`;
  }
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/**
 * The figure, or nothing where there is none.
 *
 * @type {(value: number | null | undefined, format: (value: number) => string) => string}
 */
export function shown(value, format) {
  return value === null || value === undefined ? '' : format(value);
}
