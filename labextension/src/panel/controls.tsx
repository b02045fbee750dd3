/**
 * The small things that everything else is made of.
 */

import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** True while what was started last goes on, and a function that starts it. */
export function useBusy(act: () => Promise<void> | void): readonly [boolean, () => void] {
  const [busy, setBusy] = React.useState(false);
  const run = async (): Promise<void> => {
    setBusy(true);
    try {
      await act();
    } finally {
      setBusy(false);
    }
  };
  return [busy, () => void run()];
}

export interface IIconButtonProps {
  readonly icon: LabIcon;
  readonly label: string;
  readonly disabled?: boolean;
  readonly onClick: () => Promise<void> | void;
}

/** A button that stays disabled while what it started goes on. */
export function IconButton({ icon, label, disabled = false, onClick }: IIconButtonProps): React.ReactElement {
  const [busy, run] = useBusy(onClick);
  return (
    <button
      type="button"
      className="jp-PyServe-iconButton"
      title={label}
      aria-label={label}
      disabled={disabled || busy}
      onClick={run}
    >
      <icon.react tag="span" elementSize="normal" />
    </button>
  );
}

export interface IButtonProps {
  readonly label: string;
  readonly caption?: string;
  readonly tone?: 'plain' | 'primary' | 'danger';
  readonly disabled?: boolean;
  readonly onClick: () => Promise<void> | void;
}

export function Button({
  label,
  caption,
  tone = 'plain',
  disabled = false,
  onClick,
}: IButtonProps): React.ReactElement {
  const [busy, run] = useBusy(onClick);
  return (
    <button
      type="button"
      className="jp-PyServe-button"
      data-tone={tone}
      title={caption}
      disabled={disabled || busy}
      onClick={run}
    >
      {label}
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

/** A failure of a part of the panel, told where it happened. */
export function Problem({ text }: { text: string | null }): React.ReactElement {
  return (
    <div className="jp-PyServe-partProblem" role="alert">
      {text}
    </div>
  );
}
