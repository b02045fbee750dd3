/**
 * What is asked before something is lost: each question names what dies. Text only.
 */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { IInstanceStatus, IModelStatus } from '../status';
import type { IQuestion } from './dialogs';

/** More processes than this are counted rather than named. */
const MAX_NAMED = 4;

function processesOf(model: IModelStatus, trans: TranslationBundle): string {
  const names = model.instances.map(({ name, pid }) => (pid === null ? name : trans.__('%1 (pid %2)', name, pid)));
  const named = names.slice(0, MAX_NAMED).join(', ');
  const others = names.length - MAX_NAMED;
  return others > 0 ? trans._n('%2 and %1 other', '%2 and %1 others', others, named) : named;
}

export function unloadQuestion(model: IModelStatus, trans: TranslationBundle): IQuestion {
  const count = model.instances.length;
  const ends =
    count === 0
      ? trans.__('It stops answering.')
      : trans._n(
          'It stops answering and its process ends: %2.',
          'It stops answering and its %1 processes end: %2.',
          count,
          processesOf(model, trans),
        );
  return {
    title: trans.__('Unload %1?', model.name),
    body: `${ends} ${trans.__('Its files stay in the model repository.')}`,
    accept: trans.__('Unload'),
  };
}

export function restartQuestion(model: IModelStatus, trans: TranslationBundle): IQuestion {
  return {
    title: trans.__('Restart %1?', model.name),
    body: trans._n(
      'Its process is replaced by a new one, and what the model keeps in memory is lost: %2.',
      'Its %1 processes are replaced by new ones, and what the model keeps in memory is lost: %2.',
      model.instances.length,
      processesOf(model, trans),
    ),
    accept: trans.__('Restart'),
  };
}

export function restartInstanceQuestion(instance: IInstanceStatus, trans: TranslationBundle): IQuestion {
  return {
    title: trans.__('Restart %1?', instance.name),
    body: trans.__(
      'Process %1 finishes what it is executing and is replaced by a new one; what it keeps in memory is lost.',
      instance.pid ?? '?',
    ),
    accept: trans.__('Restart'),
  };
}

export function killQuestion(instance: IInstanceStatus, trans: TranslationBundle): IQuestion {
  const request = instance.current_request;
  const loss =
    instance.busy_since_s === null
      ? trans.__('It is executing no request right now.')
      : request === null
        ? trans.__('The request that it is executing fails.')
        : trans.__('Request %1, which it is executing, fails.', request);
  return {
    title: trans.__('Kill %1?', instance.name),
    body: `${trans.__('Process %1 ends at once.', instance.pid ?? '?')} ${loss} ${trans.__('A new process takes its place.')}`,
    accept: trans.__('Kill'),
  };
}
