/**
 * What a process is doing right now: the stacks of all its threads, asked for by the user.
 */

import * as React from 'react';

import { describe, fetchStack, type IStack } from '../client/api';
import { formatSeconds } from '../format';
import { plainText } from '../state/log';
import { usePanel } from './context';
import { Button, Problem } from './controls';
import { copy } from './dialogs';

export function StackDump({ model, instance }: { model: string; instance: string }): React.ReactElement {
  const { trans, settings, state } = usePanel();
  const [stack, setStack] = React.useState<IStack | null>(null);
  const [problem, setProblem] = React.useState<string | null>(null);
  const ask = async (): Promise<void> => {
    try {
      setStack(await fetchStack(settings, model, instance));
      setProblem(null);
    } catch (error) {
      setProblem(describe(error));
    }
  };
  const text = stack === null ? '' : stack.text.split('\n').map(plainText).join('\n');
  return (
    <div className="jp-PyServe-stack">
      <div className="jp-PyServe-actions">
        <Button label={trans.__('Dump the stacks')} tone="primary" onClick={ask} />
        {stack !== null && (
          <Button
            label={trans.__('Copy')}
            onClick={() => {
              copy(text, trans.__('Copied the stacks of %1', instance));
            }}
          />
        )}
      </div>
      <Problem text={problem} />
      {stack === null && (
        <p className="jp-PyServe-hint">
          {trans.__('Shows where every thread of this process is, also while it is stuck.')}
        </p>
      )}
      {stack !== null && stack.request !== '' && (
        <div className="jp-PyServe-chipLine">
          {trans.__('Executing')}
          <button
            type="button"
            className="jp-PyServe-chip"
            onClick={() => {
              state.showRequest(stack.request);
            }}
          >
            {stack.request}
          </button>
          {stack.since_s !== null && trans.__('for %1', formatSeconds(stack.since_s))}
        </div>
      )}
      {stack !== null && <pre tabIndex={0}>{text}</pre>}
    </div>
  );
}
