/**
 * The two small things every row is made of.
 */

import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

export interface IIconButtonProps {
  readonly icon: LabIcon;
  readonly label: string;
  readonly disabled?: boolean;
  readonly onClick: () => Promise<void> | void;
}

/** A button that stays disabled while what it started goes on. */
export function IconButton({ icon, label, disabled = false, onClick }: IIconButtonProps): React.ReactElement {
  const [busy, setBusy] = React.useState(false);
  const click = async (): Promise<void> => {
    setBusy(true);
    try {
      await onClick();
    } finally {
      setBusy(false);
    }
  };
  return (
    <button
      type="button"
      className="jp-PyServe-button"
      title={label}
      aria-label={label}
      disabled={disabled || busy}
      onClick={() => void click()}
    >
      <icon.react tag="span" elementSize="normal" />
    </button>
  );
}

type Tone = 'good' | 'bad' | 'moving' | 'quiet';

const TONES: Readonly<Partial<Record<string, Tone>>> = {
  READY: 'good',
  BUSY: 'good',
  LOADING: 'moving',
  UNLOADING: 'moving',
  SPAWNED: 'moving',
  ATTACHED: 'moving',
  STARTING: 'moving',
  RESTARTING: 'moving',
  DRAINING: 'moving',
  FAILED: 'bad',
  UNAVAILABLE: 'bad',
};

export function StateBadge({ state, title }: { state: string; title?: string }): React.ReactElement {
  return (
    <span className="jp-PyServe-state" data-tone={TONES[state] ?? 'quiet'} title={title}>
      {state}
    </span>
  );
}
