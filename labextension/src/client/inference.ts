/**
 * A request typed by hand, sent to a model through the v2 protocol, and what came back. Reading the form is pure; only
 * `infer` and `stream` talk to the server.
 */

import type { ITensorMetadata } from '../status';
import { type Settings, send } from './api';

export interface IFilledInput {
  readonly input: ITensorMetadata;
  /** JSON: nested lists, or one value. */
  readonly text: string;
}

export interface ICall {
  readonly model: string;
  /** The newest one when empty. */
  readonly version: string;
  readonly requestId: string;
  readonly inputs: readonly IFilledInput[];
  /** A JSON object, or nothing. */
  readonly parameters: string;
}

/** What is wrong with what was typed, in words for the one who typed it. */
export class FormError extends Error {}

interface ITensor {
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
}

/** Nested lists as a shape and a flat list. */
export function tensorOf(text: string): ITensor {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FormError('is not JSON: write nested lists, such as [[1, 2], [3, 4]]');
  }
  const data: unknown[] = [];
  return { shape: collect(Array.isArray(value) ? value : [value], data), data };
}

function collect(value: unknown, data: unknown[]): number[] {
  if (!Array.isArray(value)) {
    if (value === null || typeof value === 'object') {
      throw new FormError('may hold numbers, strings, true and false only');
    }
    data.push(value);
    return [];
  }
  const shapes = value.map(item => collect(item, data));
  const first = shapes[0] ?? [];
  if (shapes.some(shape => shape.join() !== first.join())) {
    throw new FormError('has lists of different lengths');
  }
  return [value.length, ...first];
}

function parametersOf(text: string): Record<string, unknown> {
  if (text.trim() === '') {
    return {};
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // told below
  }
  throw new FormError('The parameters are not a JSON object, such as {"priority": 1}.');
}

function tensors(call: ICall): readonly (ITensor & ITensorMetadata)[] {
  return call.inputs.map(({ input, text }) => {
    if (input.datatype === 'FP16' || input.datatype === 'BF16') {
      throw new FormError(`${input.name}: ${input.datatype} has no form in JSON; use the code for a notebook cell.`);
    }
    try {
      return { name: input.name, datatype: input.datatype, ...tensorOf(text) };
    } catch (error) {
      throw error instanceof FormError ? new FormError(`${input.name} ${error.message}.`) : error;
    }
  });
}

/** The body of an inference request. */
export function inferBody(call: ICall): string {
  const inputs = tensors(call).map(({ name, datatype, shape, data }) => ({ name, datatype, shape, data }));
  const parameters = parametersOf(call.parameters);
  return JSON.stringify({
    ...(call.requestId !== '' && { id: call.requestId }),
    ...(Object.keys(parameters).length > 0 && { parameters }),
    inputs,
  });
}

/** The body of a generate request: names with their elements, then whatever parameters. */
export function generateBody(call: ICall): string {
  const values = tensors(call).map(({ name, data }) => [name, data.length === 1 ? data[0] : data] as const);
  return JSON.stringify({
    ...(call.requestId !== '' && { id: call.requestId }),
    ...Object.fromEntries(values),
    ...parametersOf(call.parameters),
  });
}

function path({ model, version }: ICall, verb: string): string {
  const versions = version === '' ? [] : ['versions', encodeURIComponent(version)];
  return ['v2/models', encodeURIComponent(model), ...versions, verb].join('/');
}

function requestOf(body: string, signal: AbortSignal): RequestInit {
  return { method: 'POST', body, headers: { 'Content-Type': 'application/json' }, signal };
}

export async function infer(settings: Settings, call: ICall, signal: AbortSignal): Promise<string> {
  const response = await send(settings, path(call, 'infer'), requestOf(inferBody(call), signal));
  return pretty(await response.text());
}

/** Hands on every event of a decoupled model's answer as it comes. */
export async function stream(
  settings: Settings,
  call: ICall,
  signal: AbortSignal,
  onEvent: (text: string) => void,
): Promise<void> {
  const response = await send(settings, path(call, 'generate_stream'), requestOf(generateBody(call), signal));
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) {
    const events = (rest + decoder.decode(part.value, { stream: true })).split('\n\n');
    rest = events.pop() ?? '';
    events.forEach(event => {
      onEvent(pretty(event.replace(/^data: ?/gm, '')));
    });
  }
}

/** JSON with one line for each innermost list; as it came where it is no JSON. */
export function pretty(text: string): string {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text;
  }
  return JSON.stringify(value, null, 2).replace(/\[[^[\]{}]*\]/g, list => list.replace(/\s*\n\s*/g, ' '));
}
