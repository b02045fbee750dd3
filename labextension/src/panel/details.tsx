/**
 * The lower part of the panel: what is selected, what can be done with it, and the tabs about it.
 */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { baseName } from '../format';
import type { IInstanceRow, Row } from '../state/tree';
import type { Tab } from '../state/view';
import type { BatchSizes, IEngineStatus } from '../status';
import { isServing } from '../status';
import { usePanel } from './context';
import { Button, type IButtonProps } from './controls';
import { engineFigures, FigureList, instanceFigures, modelFigures } from './figures';
import { Logs } from './logs';
import { Plots } from './plots';
import { StackDump } from './stack';
import { TryIt } from './tryit';

export interface IDetailsProps {
  readonly engine: IEngineStatus;
  readonly row: Row | null;
  /** What is shown may be outdated, so nothing can be acted on. */
  readonly stale: boolean;
}

export function Details({ engine, row, stale }: IDetailsProps): React.ReactElement {
  const { trans, state } = usePanel();
  if (row === null) {
    return (
      <section className="jp-PyServe-details" aria-label={trans.__('Details')}>
        <h3>{trans.__('Engine')}</h3>
        <FigureList figures={engineFigures(engine, state.preferences.showHostTotals, trans)} />
      </section>
    );
  }
  return (
    <section className="jp-PyServe-details" aria-label={trans.__('Details')}>
      <h3 title={titleOf(row)}>{titleOf(row)}</h3>
      <Owner row={row} />
      <Actions buttons={row.type === 'instance' ? instanceButtons(row) : modelButtons(row)} stale={stale} />
      <Tabs row={row} />
    </section>
  );

  function titleOf(row: Row): string {
    switch (row.type) {
      case 'model':
        return row.model.name;
      case 'version':
        return trans.__('%1, version %2', row.model.name, row.version.version);
      case 'instance':
        return row.instance.name;
    }
  }
}

function Owner({ row }: { row: Row }): React.ReactElement {
  const { trans, actions } = usePanel();
  const { owner } = row.model;
  if (owner === null) {
    return <div className="jp-PyServe-detail">{trans.__('from the model repository')}</div>;
  }
  return (
    <div className="jp-PyServe-detail">
      {trans.__('deployed by')}{' '}
      <button type="button" className="jp-PyServe-link" title={owner} onClick={() => void actions.openOwner(row.model)}>
        {baseName(owner)}
      </button>
    </div>
  );
}

type ActionButton = IButtonProps & { readonly needsEngine: boolean };
type ButtonOf = (use: ReturnType<typeof usePanel>) => ActionButton[];

function acting(label: string, caption: string, onClick: IButtonProps['onClick']): ActionButton {
  return { label, caption, onClick, needsEngine: true };
}

function copying(label: string, caption: string, onClick: IButtonProps['onClick']): ActionButton {
  return { label, caption, onClick, needsEngine: false };
}

function modelButtons({ model }: Row): ButtonOf {
  return ({ trans, actions }) => {
    const serving = isServing(model);
    return [
      acting(serving ? trans.__('Reload') : trans.__('Load'), trans.__('Load it from the repository'), () =>
        actions.loadAgain(model),
      ),
      ...(serving || model.instances.length > 0
        ? [
            acting(trans.__('Unload'), trans.__('End its processes'), () => actions.unload(model)),
            acting(trans.__('Restart'), trans.__('Replace its processes by new ones'), () => actions.restart(model)),
            acting(trans.__('Scale…'), trans.__('Change how many processes there are'), () => actions.scale(model)),
            model.draining === true
              ? acting(trans.__('Resume'), trans.__('Take requests again'), () => actions.resume(model))
              : acting(trans.__('Drain'), trans.__('Finish what is accepted, refuse the rest'), () =>
                  actions.drain(model),
                ),
          ]
        : []),
      ...((model.deploys?.length ?? 0) > 1
        ? [acting(trans.__('Roll back…'), trans.__('Serve an earlier deploy again'), () => actions.rollback(model))]
        : []),
      copying(trans.__('Insert code'), trans.__('Into a new cell of the active notebook'), () =>
        actions.insertCode(model),
      ),
      copying(trans.__('Copy curl'), trans.__('A line for a terminal'), () => {
        actions.copyCurl(model);
      }),
      copying(trans.__('Copy Python'), trans.__('A script with tritonclient'), () => {
        actions.copyClient(model);
      }),
    ];
  };
}

function instanceButtons({ model, instance }: IInstanceRow): ButtonOf {
  return ({ trans, actions }) => {
    const button = (
      label: string,
      caption: string,
      act: (of: typeof model, which: typeof instance) => Promise<void>,
    ): ActionButton => acting(label, caption, () => act(model, instance));
    return [
      button(trans.__('Restart'), trans.__('Replace this process by a new one'), actions.restartInstance),
      instance.draining === true
        ? button(trans.__('Resume'), trans.__('Take requests again'), actions.resumeInstance)
        : button(
            trans.__('Drain'),
            trans.__('Finish what it executes, leave the rest to the others'),
            actions.drainInstance,
          ),
      instance.debug
        ? button(trans.__('End debugging'), trans.__('Let go of the debugger'), actions.undebug)
        : button(trans.__('Debug'), trans.__('Let a debugger attach to this process'), actions.debug),
      { ...button(trans.__('Kill'), trans.__('End this process at once'), actions.kill), tone: 'danger' },
    ];
  };
}

function Actions({ buttons, stale }: { buttons: ButtonOf; stale: boolean }): React.ReactElement {
  const panel = usePanel();
  return (
    <div className="jp-PyServe-actions" role="group" aria-label={panel.trans.__('Actions')}>
      {buttons(panel).map(({ needsEngine, ...button }) => (
        <Button key={button.label} {...button} disabled={stale && needsEngine} />
      ))}
    </div>
  );
}

function tabsOf(row: Row, trans: TranslationBundle): readonly (readonly [Tab, string])[] {
  const all: readonly (readonly [Tab, string])[] = [
    ['details', trans.__('Details')],
    ['plots', trans.__('Plots')],
    ['logs', trans.__('Logs')],
    ['try', trans.__('Try it')],
    ['stack', trans.__('Stack')],
  ];
  return all.filter(([tab]) => (row.type === 'instance' ? tab !== 'try' : tab !== 'stack'));
}

function Tabs({ row }: { row: Row }): React.ReactElement {
  const { trans, state } = usePanel();
  const id = React.useId();
  const bar = React.useRef<HTMLDivElement>(null);
  const tabs = tabsOf(row, trans);
  const current = tabs.some(([tab]) => tab === state.view.tab) ? state.view.tab : 'details';
  const onKeyDown = (event: React.KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step !== undefined) {
      const from = tabs.findIndex(([tab]) => tab === current);
      const to = (from + step + tabs.length) % tabs.length;
      state.setTab(tabs[to]?.[0] ?? 'details');
      bar.current?.querySelectorAll('button')[to]?.focus();
      event.preventDefault();
    }
  };
  return (
    <>
      <div ref={bar} className="jp-PyServe-tabs" role="tablist" onKeyDown={onKeyDown}>
        {tabs.map(([tab, label]) => (
          <button
            key={tab}
            id={`${id}-${tab}`}
            type="button"
            role="tab"
            aria-selected={tab === current}
            aria-controls={`${id}-panel`}
            tabIndex={tab === current ? 0 : -1}
            onClick={() => {
              state.setTab(tab);
            }}
          >
            {label}
          </button>
        ))}
      </div>
      <div id={`${id}-panel`} className="jp-PyServe-tabPanel" role="tabpanel" aria-labelledby={`${id}-${current}`}>
        <TabContent tab={current} row={row} />
      </div>
    </>
  );
}

/** Each row has its own: what was typed or asked for one says nothing about another. */
function TabContent({ tab, row }: { tab: Tab; row: Row }): React.ReactElement {
  const { trans, state, history } = usePanel();
  const { model } = row;
  switch (tab) {
    case 'details':
      return (
        <FigureList
          figures={row.type === 'instance' ? instanceFigures(row.instance, trans) : modelFigures(model, trans)}
        />
      );
    case 'plots':
      return row.type === 'instance' ? (
        <Plots series={history.instance(model.name, row.instance)} batchSizes={row.instance.batch_sizes ?? null} />
      ) : (
        <Plots series={history.model(model.name)} batchSizes={batchSizesOf(row)} />
      );
    case 'logs':
      return (
        <Logs
          key={row.key}
          model={model.name}
          instance={row.type === 'instance' ? row.instance.name : ''}
          request={state.view.request}
        />
      );
    case 'try':
      return <TryIt key={row.key} model={model} version={row.type === 'version' ? row.version.version : ''} />;
    case 'stack':
      return row.type === 'instance' ? (
        <StackDump key={row.key} model={model.name} instance={row.instance.name} />
      ) : (
        <FigureList figures={modelFigures(model, trans)} />
      );
  }
}

function batchSizesOf({ model }: Row): BatchSizes | null {
  return model.statistics?.batch_sizes ?? null;
}
