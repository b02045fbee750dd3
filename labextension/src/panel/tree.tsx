/**
 * The tree of models, versions and instances. The focus stays on the tree itself, which names its active row: so rows
 * that are out of sight need not exist.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { baseName, formatBytes, formatPercent } from '../format';
import { memoryOf } from '../state/history';
import { type Move, moved, type Row } from '../state/tree';
import { usePanel } from './context';
import { StateBadge } from './controls';
import { VirtualList } from './virtual';

export const ROW_PX = 40;
const EDGE_PX = 2;
const PAGE_ROWS = 8;
const KEPT_LETTERS = 4;

const MOVES: Readonly<Partial<Record<string, Move>>> = {
  ArrowUp: 'up',
  ArrowDown: 'down',
  Home: 'first',
  End: 'last',
  PageUp: 'page-up',
  PageDown: 'page-down',
};

export interface ITreeProps {
  readonly rows: readonly Row[];
  readonly selected: string | null;
  /** What is shown may be outdated. */
  readonly stale: boolean;
}

export function Tree({ rows, selected, stale }: ITreeProps): React.ReactElement {
  const { trans, state } = usePanel();
  const id = React.useId();
  const active = rows.findIndex(row => row.key === selected);

  const onKeyDown = (event: React.KeyboardEvent): void => {
    if (event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    const move = MOVES[event.key];
    const row = rows[active];
    if (move !== undefined) {
      state.select(moved(rows, selected, move, PAGE_ROWS));
    } else if (row !== undefined && event.key === 'ArrowRight') {
      if (row.expanded === false) {
        state.toggle(row.key, true);
      } else if (row.expanded === true) {
        state.select(moved(rows, row.key, 'down', PAGE_ROWS));
      }
    } else if (row !== undefined && event.key === 'ArrowLeft') {
      if (row.expanded === true) {
        state.toggle(row.key, false);
      } else {
        state.select(row.parent ?? row.key);
      }
    } else if (row !== undefined && row.expanded !== null && (event.key === 'Enter' || event.key === ' ')) {
      state.toggle(row.key, !row.expanded);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <VirtualList
      className={stale ? 'jp-PyServe-tree jp-mod-stale' : 'jp-PyServe-tree'}
      role="tree"
      tabIndex={0}
      style={{ maxHeight: ROW_PX * Math.max(2, rows.length) + EDGE_PX }}
      aria-label={trans.__('Models, versions and instances')}
      {...(active >= 0 && { 'aria-activedescendant': `${id}-${active}` })}
      items={rows}
      rowHeight={ROW_PX}
      activeIndex={active}
      onKeyDown={onKeyDown}
      render={(row, index) => <TreeRow key={row.key} row={row} id={`${id}-${index}`} selected={index === active} />}
    />
  );
}

interface ITreeRowProps {
  readonly row: Row;
  readonly id: string;
  readonly selected: boolean;
}

function TreeRow({ row, id, selected }: ITreeRowProps): React.ReactElement {
  const { trans, state } = usePanel();
  const name = nameOf(row, trans);
  const badge = stateOf(row);
  const failure = failureOf(row);
  const facts = factsOf(row, trans).join(' · ');
  return (
    <div
      id={id}
      role="treeitem"
      className="jp-PyServe-row"
      aria-level={row.level}
      aria-posinset={row.position}
      aria-setsize={row.siblings}
      aria-selected={selected}
      aria-label={name}
      aria-description={`${badge}. ${facts}`}
      {...(row.expanded !== null && { 'aria-expanded': row.expanded })}
      style={{ height: ROW_PX, paddingLeft: 4 + 14 * (row.level - 1) }}
      onClick={() => {
        state.select(row.key);
      }}
      onDoubleClick={() => {
        if (row.expanded !== null) {
          state.toggle(row.key, !row.expanded);
        }
      }}
    >
      <Caret row={row} />
      <div className="jp-PyServe-rowText">
        <div className="jp-PyServe-rowLine">
          <Name text={name} />
          <span className="jp-PyServe-owner" title={row.model.owner ?? trans.__('from the model repository')}>
            {row.model.owner === null ? trans.__('repository') : baseName(row.model.owner)}
          </span>
          <StateBadge state={badge} title={failure} />
        </div>
        <div className="jp-PyServe-rowLine">
          <span className={failure ? 'jp-PyServe-failure' : 'jp-PyServe-facts'} title={failure || facts}>
            {failure ? failure.split('\n', 1)[0] : facts}
          </span>
        </div>
      </div>
    </div>
  );
}

/** For the mouse; the keyboard has its arrows, and a screen reader what the row says of itself. */
function Caret({ row }: { row: Row }): React.ReactElement {
  const { state } = usePanel();
  const icon = row.expanded === true ? caretDownIcon : caretRightIcon;
  return (
    <span
      className="jp-PyServe-caret"
      aria-hidden="true"
      onClick={event => {
        if (row.expanded !== null) {
          event.stopPropagation();
          state.toggle(row.key, !row.expanded);
        }
      }}
    >
      {row.expanded !== null && <icon.react tag="span" elementSize="small" />}
    </span>
  );
}

function nameOf(row: Row, trans: TranslationBundle): string {
  switch (row.type) {
    case 'model':
      return row.model.name;
    case 'version':
      return trans.__('version %1', row.version.version);
    case 'instance':
      return row.instance.name;
  }
}

function stateOf(row: Row): string {
  switch (row.type) {
    case 'model':
      return row.model.draining === true ? 'DRAINING' : wantedState(row.model);
    case 'version':
      return wantedState(row.version);
    case 'instance':
      return row.instance.draining === true ? 'DRAINING' : row.instance.state;
  }
}

/** What somebody asked for is a reason, and no failure. */
const UNLOADED = 'unloaded';

/** The state; what is not served because that was asked for does not look like what can't be served. */
function wantedState({ state, reason }: { readonly state: string; readonly reason: string }): string {
  return reason === UNLOADED ? 'UNLOADED' : state;
}

function failureOf(row: Row): string {
  switch (row.type) {
    case 'model':
      return (row.model.reason === UNLOADED ? '' : row.model.reason) || (row.model.loading_error ?? '');
    case 'version':
      return row.version.reason === UNLOADED ? '' : row.version.reason;
    case 'instance':
      return row.instance.state === 'READY' ? '' : (row.instance.last_error ?? '');
  }
}

function factsOf(row: Row, trans: TranslationBundle): readonly string[] {
  if (row.type === 'version') {
    return [trans._n('%1 instance', '%1 instances', row.instances)];
  }
  if (row.type === 'model') {
    const { instances, queue_depth: queued, in_flight: running } = row.model;
    return [
      trans._n('%1 instance', '%1 instances', instances.length),
      ...(running ? [trans.__('%1 running', running)] : []),
      ...(queued ? [trans.__('%1 queued', queued)] : []),
    ];
  }
  const { pid, requests, restarts, cpu_percent: cpu } = row.instance;
  const memory = memoryOf(row.instance);
  return [
    pid === null ? trans.__('no process') : trans.__('pid %1', pid),
    trans._n('%1 request', '%1 requests', requests),
    ...(memory === null ? [] : [formatBytes(memory)]),
    ...(cpu === null || cpu === undefined ? [] : [formatPercent(cpu)]),
    ...(restarts > 0 ? [trans._n('%1 restart', '%1 restarts', restarts)] : []),
  ];
}

/** Instances of a model differ in the last letters of their names: where there is no room, the middle goes. */
function Name({ text }: { text: string }): React.ReactElement {
  const cut = Math.max(0, text.length - KEPT_LETTERS);
  return (
    <span className="jp-PyServe-name" title={text}>
      <span>{text.slice(0, cut)}</span>
      <span>{text.slice(cut)}</span>
    </span>
  );
}
