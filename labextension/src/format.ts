/**
 * Figures as people read them: the notebook's live views say the same with the same code. Pure.
 */

export {
  formatBytes,
  formatMs,
  formatNumber,
  formatPercent,
  formatSeconds,
} from '../../jupyter_pyserve/notebook/widgets/format.js';

export function formatTime(time_s: number): string {
  return new Date(time_s * 1000).toLocaleTimeString('en-GB');
}

/** The file's name of a notebook's path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
