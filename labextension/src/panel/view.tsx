/**
 * The panel's content: the engine's line, the tree, and what is selected in it. Text from the server is only ever
 * React text.
 */

import { addIcon, closeIcon, refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatBytes, formatPercent } from '../format';
import { findRow, rowsOf } from '../state/tree';
import type { IEngineStatus, IStatus } from '../status';
import type { ISnapshot } from '../tokens';
import { usePanel } from './context';
import { Button, IconButton, StateBadge } from './controls';
import { Details } from './details';
import { Tree } from './tree';

/** With more models than this, a field to look for one is worth its place. */
const MANY_MODELS = 8;

export function PanelView({ snapshot }: { snapshot: ISnapshot }): React.ReactElement {
  const { trans, actions } = usePanel();
  const { status, problem } = snapshot;
  const stale = problem !== null;
  return (
    <div className="jp-PyServe-content">
      <header className="jp-PyServe-header">
        <h2 className="jp-PyServe-title">{trans.__('Served models')}</h2>
        <IconButton icon={addIcon} label={trans.__('Load a model')} disabled={stale} onClick={actions.load} />
        <IconButton icon={refreshIcon} label={trans.__('Refresh')} onClick={actions.refresh} />
        <IconButton icon={closeIcon} label={trans.__('Close')} onClick={actions.close} />
      </header>
      <div role="status">{stale && <Down reason={problem} />}</div>
      {status === null && !stale && <p className="jp-PyServe-hint">{trans.__('Asking the engine…')}</p>}
      {status !== null && <Status status={status} stale={stale} />}
    </div>
  );
}

function Down({ reason }: { reason: string }): React.ReactElement {
  const { trans, actions } = usePanel();
  return (
    <div className="jp-PyServe-problem">
      <strong>{trans.__('The engine cannot be reached.')}</strong>
      <span>{reason}</span>
      <span className="jp-PyServe-detail">{trans.__('Asking again, less and less often.')}</span>
      <div className="jp-PyServe-actions">
        <Button
          label={trans.__('Start it or try again')}
          caption={trans.__('The Jupyter server starts an engine for whoever asks')}
          tone="primary"
          onClick={actions.refresh}
        />
      </div>
    </div>
  );
}

function Status({ status, stale }: { status: IStatus; stale: boolean }): React.ReactElement {
  const { trans, state } = usePanel();
  const { selected, expanded, filter } = state.view;
  const rows = React.useMemo(() => rowsOf(status, expanded, filter), [status, expanded, filter]);
  const row = findRow(status, selected);
  return (
    <>
      <EngineLine engine={status.engine} stale={stale} />
      {status.models.length === 0 && !stale && (
        <p className="jp-PyServe-hint">
          {trans.__('No model yet. Write one in a cell with %%pyserve model, then run %pyserve deploy.')}
        </p>
      )}
      {(status.models.length > MANY_MODELS || filter !== '') && (
        <input
          type="search"
          className="jp-PyServe-filter jp-mod-styled"
          placeholder={trans.__('Filter by model, notebook or pid')}
          aria-label={trans.__('Filter by model, notebook or pid')}
          value={filter}
          onChange={event => {
            state.setFilter(event.target.value);
          }}
        />
      )}
      {status.models.length > 0 && <Tree rows={rows} selected={row?.key ?? null} stale={stale} />}
      <Details engine={status.engine} row={row} stale={stale} />
    </>
  );
}

function EngineLine({ engine, stale }: { engine: IEngineStatus; stale: boolean }): React.ReactElement {
  const { trans, state } = usePanel();
  const { cpu_percent: cpu, pss_bytes: memory } = engine;
  const facts = [
    trans.__('pid %1', engine.pid),
    ...(cpu === null || cpu === undefined ? [] : [formatPercent(cpu)]),
    ...(memory === null || memory === undefined ? [] : [formatBytes(memory)]),
  ];
  return (
    <button
      type="button"
      className="jp-PyServe-engine"
      title={engine.repositories.join('\n')}
      aria-pressed={state.view.selected === null}
      onClick={() => {
        state.select(null);
      }}
    >
      <span className="jp-PyServe-name">{trans.__('Engine')}</span>
      <span className="jp-PyServe-detail">{facts.join(' · ')}</span>
      <StateBadge state={stale ? trans.__('unknown') : engine.state} />
    </button>
  );
}
