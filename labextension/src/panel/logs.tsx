/**
 * The newest lines that a model, or one of its instances, printed and logged; as text, whatever they hold.
 */

import { copyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { describe, fetchLogs, type ILogQuery, type ILogRecord } from '../client/api';
import { formatTime } from '../format';
import { appended, filtered, MAX_LINES, plainText, requestsOf } from '../state/log';
import { usePanel } from './context';
import { Button, IconButton, Problem } from './controls';
import { copy } from './dialogs';
import { VirtualList } from './virtual';

const ROW_PX = 18;
const FIRST_TAIL = 200;
const MAX_DELAY_MS = 5000;

export interface ILogsProps {
  readonly model: string;
  /** All of the model's when empty. */
  readonly instance: string;
  readonly request: string;
}

export function Logs({ model, instance, request }: ILogsProps): React.ReactElement {
  const { trans, state } = usePanel();
  const [level, setLevel] = React.useState('');
  const [search, setSearch] = React.useState('');
  const [tail, setTail] = React.useState(FIRST_TAIL);
  const query = React.useMemo(() => ({ instance, level, search, request }), [instance, level, search, request]);
  const { records, problem } = useLogs(model, query, tail);
  const shown = React.useMemo(() => filtered(records, query), [records, query]);
  const levels = {
    '': trans.__('All'),
    INFO: trans.__('Info'),
    WARNING: trans.__('Warnings'),
    ERROR: trans.__('Errors'),
  };
  return (
    <div className="jp-PyServe-logs">
      <div className="jp-PyServe-logBar">
        <input
          type="search"
          className="jp-mod-styled"
          placeholder={trans.__('Search the log')}
          aria-label={trans.__('Search the log')}
          value={search}
          onChange={event => {
            setSearch(event.target.value);
          }}
        />
        <select
          className="jp-mod-styled"
          aria-label={trans.__('Least level')}
          value={level}
          onChange={event => {
            setLevel(event.target.value);
          }}
        >
          {Object.entries(levels).map(([value, label]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
        <IconButton
          icon={copyIcon}
          label={trans.__('Copy the log')}
          onClick={() => {
            copy(shown.map(asText).join('\n'), trans.__('Copied %1 lines', shown.length));
          }}
        />
      </div>
      {request !== '' && (
        <div className="jp-PyServe-chipLine">
          {trans.__('Request')} <code>{request}</code>
          <Button
            label={trans.__('Show all')}
            onClick={() => {
              state.showRequest('');
            }}
          />
        </div>
      )}
      <Problem text={problem} />
      {tail < MAX_LINES && records.length >= tail && (
        <Button
          label={trans.__('Older lines')}
          onClick={() => {
            setTail(Math.min(MAX_LINES, tail * 4));
          }}
        />
      )}
      {shown.length === 0 && problem === null && <p className="jp-PyServe-hint">{trans.__('No lines.')}</p>}
      <VirtualList
        className="jp-PyServe-log"
        hidden={shown.length === 0}
        role="log"
        aria-label={trans.__('Log')}
        aria-live="off"
        tabIndex={0}
        items={shown}
        rowHeight={ROW_PX}
        followEnd
        render={(record, index) => <Line key={record.seq ?? index} record={record} showInstance={instance === ''} />}
      />
    </div>
  );
}

function Line({ record, showInstance }: { record: ILogRecord; showInstance: boolean }): React.ReactElement {
  const { trans, state } = usePanel();
  const text = plainText(record.text);
  return (
    <div className="jp-PyServe-logLine" data-level={record.level} style={{ height: ROW_PX }} title={text}>
      <span className="jp-PyServe-detail">{formatTime(record.time)}</span>
      {showInstance && (
        <span className="jp-PyServe-detail">{record.instance.slice(record.instance.lastIndexOf('_'))}</span>
      )}
      {requestsOf(record).map(id => (
        <button
          key={id}
          type="button"
          className="jp-PyServe-chip"
          title={trans.__('Only the lines of request %1', id)}
          onClick={() => {
            state.showRequest(id);
          }}
        >
          {id}
        </button>
      ))}
      <span>{text}</span>
    </div>
  );
}

function asText({ time, level, instance, request, text }: ILogRecord): string {
  return [formatTime(time), level, instance, ...(request ? [`[${request}]`] : []), plainText(text)].join(' ');
}

interface ILog {
  readonly records: readonly ILogRecord[];
  readonly problem: string | null;
}

/** Asks again and again for what came since, for as long as it is on the screen of a visible page. */
function useLogs(model: string, query: ILogQuery, tail: number): ILog {
  const { settings, intervalMs } = usePanel();
  const [log, setLog] = React.useState<ILog>({ records: [], problem: null });
  React.useEffect(() => {
    let ended = false;
    let after: number | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let kept: readonly ILogRecord[] = [];
    let delayMs = intervalMs();
    const ask = async (): Promise<void> => {
      try {
        const page = await fetchLogs(settings, model, query, tail, after);
        // Where nothing is said, nothing needs to be asked as often.
        const quiet = after !== null && page.records.length === 0;
        delayMs = quiet ? Math.min(MAX_DELAY_MS, 1.5 * delayMs) : intervalMs();
        kept = appended(kept, page, after);
        after = page.next;
        done({ records: kept, problem: null });
      } catch (error) {
        done({ records: kept, problem: describe(error) });
      }
    };
    const done = (log: ILog): void => {
      if (!ended) {
        setLog(before => (before.records === log.records && before.problem === log.problem ? before : log));
        timer = setTimeout(next, delayMs);
      }
    };
    const next = (): void => {
      if (document.visibilityState === 'hidden') {
        timer = setTimeout(next, delayMs);
      } else {
        void ask();
      }
    };
    next();
    return () => {
      ended = true;
      clearTimeout(timer);
    };
  }, [settings, intervalMs, model, query, tail]);
  return log;
}
