/**
 * The user's settings, read with care: whatever the file says, what comes out can be used.
 */

import type { ISettingRegistry } from '@jupyterlab/settingregistry';

import type { IPreferences } from './state/view';

export interface ISettingValues extends IPreferences {
  readonly intervalMs: number;
}

const MIN_INTERVAL_S = 1;
const MAX_INTERVAL_S = 5;

export function settingValues(settings: ISettingRegistry.ISettings): ISettingValues {
  const interval_s: unknown = settings.get('interval').composite;
  return {
    intervalMs: 1000 * Math.min(MAX_INTERVAL_S, Math.max(MIN_INTERVAL_S, Number(interval_s) || MIN_INTERVAL_S)),
    showHostTotals: settings.get('showHostTotals').composite !== false,
    confirm: settings.get('confirm').composite !== false,
  };
}
