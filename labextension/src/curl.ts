/**
 * The curl line that calls a model once. A pure function of its metadata: the token is named by the environment
 * variable that terminals and kernels of this server have, so that no secret lands on the clipboard.
 */

import { URLExt } from '@jupyterlab/coreutils';

import type { IModelStatus, ITensorMetadata } from './tokens';

const MAX_ELEMENTS = 256;

const SAMPLES: Readonly<Record<string, unknown>> = { BOOL: false, BYTES: '' };

// JSON has no form for these, so a call needs a binary body.
const BINARY_ONLY = new Set(['FP16', 'BF16']);

interface ISampleInput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly unknown[];
}

function quote(text: string): string {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}

function sample(input: ITensorMetadata): ISampleInput | null {
  const shape = input.shape.map(extent => (extent < 0 ? 1 : extent));
  const count = shape.reduce((product, extent) => product * extent, 1);
  if (count > MAX_ELEMENTS || BINARY_ONLY.has(input.datatype)) {
    return null;
  }
  const element = SAMPLES[input.datatype] ?? 0;
  return { name: input.name, datatype: input.datatype, shape, data: new Array<unknown>(count).fill(element) };
}

/** Calls the model with zeros; asks for its metadata where zeros would not fit on a line. */
export function curlLine(baseUrl: string, model: IModelStatus): string {
  const url = URLExt.join(baseUrl, 'pyserve', 'v2', 'models', encodeURIComponent(model.name));
  const command = 'curl -sS -H "Authorization: token $PYSERVE_TOKEN"';
  const inputs = model.inputs.map(sample);
  if (inputs.some(input => input === null)) {
    return `${command} ${quote(url)}`;
  }
  const body = JSON.stringify({ inputs });
  return `${command} -H 'Content-Type: application/json' -d ${quote(body)} ${quote(url + '/infer')}`;
}
