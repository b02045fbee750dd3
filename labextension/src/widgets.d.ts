// The live views' scripts say their types in comments, which only the checks read.
declare module '*/widgets/format.js' {
  export function formatBytes(nbytes: number): string;
  export function formatMs(value: number): string;
  export function formatNumber(value: number): string;
  export function formatPercent(value: number): string;
  export function formatSeconds(value_s: number): string;
}
