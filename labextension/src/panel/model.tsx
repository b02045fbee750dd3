/**
 * One model: its actions, its versions, and under each version the instances that run it.
 */

import { closeIcon, copyIcon, refreshIcon } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IInstanceStatus, IModelStatus, IVersionStatus } from '../tokens';
import type { IActions } from './actions';
import { IconButton, StateBadge } from './controls';

const MAX_NAME = 22;

export interface IModelItemProps {
  readonly model: IModelStatus;
  readonly actions: IActions;
  /** What is shown may be outdated, so nothing can be acted on. */
  readonly stale: boolean;
  readonly trans: TranslationBundle;
}

export function ModelItem({ model, actions, stale, trans }: IModelItemProps): React.ReactElement {
  return (
    <li className="jp-PyServe-model" aria-label={model.name}>
      <div className="jp-PyServe-row">
        <span className="jp-PyServe-name" title={model.owner ? `${model.name}\n${model.owner}` : model.name}>
          {model.name}
        </span>
        <StateBadge state={model.state} title={model.reason} />
        <span className="jp-PyServe-buttons">
          <IconButton
            icon={copyIcon}
            label={trans.__('Copy curl')}
            onClick={() => {
              actions.copyCurl(model);
            }}
          />
          <IconButton
            icon={refreshIcon}
            label={trans.__('Restart')}
            disabled={stale}
            onClick={() => actions.restart(model)}
          />
          <IconButton
            icon={closeIcon}
            label={trans.__('Unload')}
            disabled={stale}
            onClick={() => actions.unload(model)}
          />
        </span>
      </div>
      <Failure text={model.reason} />
      <ul className="jp-PyServe-versions">
        {model.versions.map(version => (
          <VersionItem
            key={version.version}
            version={version}
            instances={model.instances.filter(instance => instance.version === version.version)}
            showReason={version.reason !== model.reason}
            trans={trans}
          />
        ))}
      </ul>
    </li>
  );
}

interface IVersionItemProps {
  readonly version: IVersionStatus;
  readonly instances: readonly IInstanceStatus[];
  readonly showReason: boolean;
  readonly trans: TranslationBundle;
}

function VersionItem({ version, instances, showReason, trans }: IVersionItemProps): React.ReactElement {
  return (
    <li>
      <div className="jp-PyServe-row">
        <span className="jp-PyServe-name">{trans.__('version %1', version.version)}</span>
        <StateBadge state={version.state} title={version.reason} />
      </div>
      {showReason && <Failure text={version.reason} />}
      <ul className="jp-PyServe-instances">
        {instances.map(instance => (
          <InstanceItem key={instance.name} instance={instance} trans={trans} />
        ))}
      </ul>
    </li>
  );
}

function InstanceItem({
  instance,
  trans,
}: {
  instance: IInstanceStatus;
  trans: TranslationBundle;
}): React.ReactElement {
  const facts = [
    instance.pid === null ? trans.__('no process') : trans.__('pid %1', instance.pid),
    trans._n('%1 request', '%1 requests', instance.requests),
    trans._n('%1 restart', '%1 restarts', instance.restarts),
  ];
  return (
    <li className="jp-PyServe-instance" aria-label={instance.name}>
      <div className="jp-PyServe-row">
        <span className="jp-PyServe-name" title={`${instance.name} (${instance.kind})`}>
          {tail(instance.name)}
        </span>
        <StateBadge state={instance.state} {...(instance.current_request && { title: instance.current_request })} />
      </div>
      <div className="jp-PyServe-detail">{facts.join(' · ')}</div>
      <Failure text={instance.last_error} />
    </li>
  );
}

/** Instances of a model differ in the last letters of their names. */
function tail(name: string): string {
  return name.length > MAX_NAME ? `…${name.slice(1 - MAX_NAME)}` : name;
}

/** The first line says what; the whole text is one hover away. */
function Failure({ text }: { text: string | null }): React.ReactElement | null {
  if (!text) {
    return null;
  }
  return (
    <div className="jp-PyServe-failure" title={text}>
      {text.split('\n', 1)[0]}
    </div>
  );
}
