/**
 * The panel's content: one line for the engine, then a tree of models. Text from the server is only ever React text.
 */

import { refreshIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IEngineStatus, ISnapshot } from '../tokens';
import type { IActions } from './actions';
import { IconButton, StateBadge } from './controls';
import { ModelItem } from './model';

export interface IPanelViewProps {
  readonly snapshot: ISnapshot;
  readonly actions: IActions;
  readonly trans: TranslationBundle;
}

export function PanelView({ snapshot, actions, trans }: IPanelViewProps): React.ReactElement {
  const { status, problem } = snapshot;
  const stale = problem !== null;
  return (
    <div className="jp-PyServe-content">
      <header className="jp-PyServe-header">
        <h2 className="jp-PyServe-title">{trans.__('Served models')}</h2>
        <IconButton icon={refreshIcon} label={trans.__('Refresh')} onClick={actions.refresh} />
      </header>
      <div role="status">{stale && <Problem text={problem} trans={trans} />}</div>
      {status && <EngineLine engine={status.engine} stale={stale} trans={trans} />}
      {status?.models.length === 0 && !stale && (
        <p className="jp-PyServe-hint">
          {trans.__('No model yet. Write one in a cell with %%pyserve model, then run %pyserve deploy.')}
        </p>
      )}
      {status && (
        <ul className={stale ? 'jp-PyServe-models jp-mod-stale' : 'jp-PyServe-models'}>
          {status.models.map(model => (
            <ModelItem key={model.name} model={model} actions={actions} stale={stale} trans={trans} />
          ))}
        </ul>
      )}
      {!status && !stale && <p className="jp-PyServe-hint">{trans.__('Asking the engine…')}</p>}
    </div>
  );
}

function Problem({ text, trans }: { text: string; trans: TranslationBundle }): React.ReactElement {
  return (
    <div className="jp-PyServe-problem">
      <strong>{trans.__('The engine cannot be reached.')}</strong>
      <span>{text}</span>
      <span className="jp-PyServe-detail">{trans.__('Trying again, less and less often.')}</span>
    </div>
  );
}

interface IEngineLineProps {
  readonly engine: IEngineStatus;
  readonly stale: boolean;
  readonly trans: TranslationBundle;
}

function EngineLine({ engine, stale, trans }: IEngineLineProps): React.ReactElement {
  return (
    <div className="jp-PyServe-engine" title={engine.repositories.join('\n')}>
      <span className="jp-PyServe-name">{trans.__('Engine')}</span>
      <span className="jp-PyServe-detail">{trans.__('pid %1', engine.pid)}</span>
      <StateBadge state={stale ? trans.__('unknown') : engine.state} />
    </div>
  );
}
