/**
 * A form made from a model's metadata: calls it once and shows the answer, or the error, and how long it took.
 */

import * as React from 'react';

import { describe } from '../client/api';
import { infer, type ICall, stream } from '../client/inference';
import { exampleShape, sampleData } from '../client/snippets';
import { formatMs } from '../format';
import type { IModelStatus, ITensorMetadata } from '../status';
import { usePanel } from './context';
import { Button, Problem } from './controls';

const MAX_SHOWN_CHARS = 50_000;

interface IAnswer {
  readonly text: string;
  readonly problem: string | null;
  readonly summary: string;
}

const NOTHING: IAnswer = { text: '', problem: null, summary: '' };

export function TryIt({ model, version }: { model: IModelStatus; version: string }): React.ReactElement {
  const { trans } = usePanel();
  const [texts, setTexts] = React.useState<Readonly<Record<string, string>>>({});
  const [parameters, setParameters] = React.useState('');
  const [requestId, setRequestId] = React.useState('');
  const inputs = model.inputs.map(input => ({ input, text: texts[input.name] ?? sampleText(input) }));
  const { answer, running, send, stop } = useCall(model.decoupled === true);
  if (inputs.length === 0) {
    return <p className="jp-PyServe-hint">{trans.__('The model is not loaded, so its inputs are not known.')}</p>;
  }
  const call: ICall = { model: model.name, version, requestId, inputs, parameters };
  return (
    <form
      className="jp-PyServe-form"
      onSubmit={event => {
        event.preventDefault();
        void send(call);
      }}
    >
      {inputs.map(({ input, text }) => (
        <label key={input.name}>
          <span>
            {input.name} <code>{`${input.datatype} [${input.shape.join(', ')}]`}</code>
          </span>
          <textarea
            className="jp-mod-styled"
            rows={Math.min(6, text.split('\n').length + 1)}
            spellCheck={false}
            value={text}
            onChange={event => {
              setTexts({ ...texts, [input.name]: event.target.value });
            }}
          />
        </label>
      ))}
      <details>
        <summary>{trans.__('Request id and parameters')}</summary>
        <Field label={trans.__('Request id')} value={requestId} onChange={setRequestId} />
        <Field
          label={trans.__('Parameters (JSON)')}
          placeholder='{"priority": 1}'
          value={parameters}
          onChange={setParameters}
        />
      </details>
      <div className="jp-PyServe-actions">
        <button type="submit" className="jp-PyServe-button" data-tone="primary" disabled={running}>
          {model.decoupled ? trans.__('Generate') : trans.__('Infer')}
        </button>
        {running && <Button label={trans.__('Stop')} onClick={stop} />}
        <span className="jp-PyServe-detail" role="status">
          {running ? trans.__('Waiting…') : answer.summary}
        </span>
      </div>
      <Problem text={answer.problem} />
      {answer.text !== '' && (
        <pre tabIndex={0} aria-label={trans.__('Answer')}>
          {answer.text.slice(0, MAX_SHOWN_CHARS)}
          {answer.text.length > MAX_SHOWN_CHARS && '…'}
        </pre>
      )}
    </form>
  );
}

interface IFieldProps {
  readonly label: string;
  readonly placeholder?: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function Field({ label, placeholder, value, onChange }: IFieldProps): React.ReactElement {
  return (
    <label>
      <span>{label}</span>
      <input
        className="jp-mod-styled"
        spellCheck={false}
        placeholder={placeholder}
        value={value}
        onChange={event => {
          onChange(event.target.value);
        }}
      />
    </label>
  );
}

interface ICallState {
  readonly answer: IAnswer;
  readonly running: boolean;
  readonly send: (call: ICall) => Promise<void>;
  readonly stop: () => void;
}

function useCall(decoupled: boolean): ICallState {
  const { trans, settings } = usePanel();
  const [answer, setAnswer] = React.useState(NOTHING);
  const [running, setRunning] = React.useState(false);
  const aborter = React.useRef<AbortController | null>(null);
  const stop = React.useCallback(() => {
    aborter.current?.abort();
  }, []);
  React.useEffect(() => stop, [stop]);

  const send = async (call: ICall): Promise<void> => {
    const controller = new AbortController();
    aborter.current = controller;
    setRunning(true);
    setAnswer(NOTHING);
    const began = performance.now();
    const took = (): string => formatMs(performance.now() - began);
    try {
      if (decoupled) {
        let text = '';
        let count = 0;
        await stream(settings, call, controller.signal, event => {
          count += 1;
          text = text.length > MAX_SHOWN_CHARS ? text : `${text}${event}\n`;
          setAnswer({ text, problem: null, summary: '' });
        });
        setAnswer({ text, problem: null, summary: trans._n('%1 response in %2', '%1 responses in %2', count, took()) });
      } else {
        const text = await infer(settings, call, controller.signal);
        setAnswer({ text, problem: null, summary: took() });
      }
    } catch (error) {
      const problem = controller.signal.aborted ? trans.__('Stopped.') : describe(error);
      setAnswer(before => ({ ...before, problem, summary: took() }));
    } finally {
      setRunning(false);
    }
  };
  return { answer, running, send, stop };
}

/** Nested lists of the metadata's shape, as a start. */
function sampleText(input: ITensorMetadata): string {
  const data = sampleData(input);
  if (data === null) {
    return '[]';
  }
  let level: unknown[] = [...data];
  for (const extent of [...exampleShape(input)].slice(1).reverse()) {
    const next: unknown[] = [];
    for (let index = 0; index < level.length; index += extent) {
      next.push(level.slice(index, index + extent));
    }
    level = next;
  }
  return JSON.stringify(level).replace(/,/g, ', ');
}
