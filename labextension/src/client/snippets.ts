/**
 * Text to paste that calls a model once: a curl line, code for a notebook cell, a tritonclient script. Pure functions
 * of its metadata: address and token are named by the environment variables that terminals and kernels of this server
 * have, so that no secret lands on the clipboard or in a saved notebook.
 */

import { URLExt } from '@jupyterlab/coreutils';

import type { IModelStatus, ITensorMetadata } from '../status';

const MAX_ELEMENTS = 256;

const SAMPLES: Readonly<Record<string, unknown>> = { BOOL: false, BYTES: 'text' };

// JSON has no form for these, so a call needs a binary body.
const BINARY_ONLY = new Set(['FP16', 'BF16']);

const NUMPY: Readonly<Record<string, string>> = {
  BOOL: 'bool_',
  FP16: 'float16',
  BF16: 'float32',
  FP32: 'float32',
  FP64: 'float64',
};

const KEYWORDS = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except finally for from global ' +
    'if import in is lambda nonlocal not or pass raise return try while with yield self'
  ).split(' '),
);

/** A value for every element of an input that JSON can carry on one line; null where it cannot. */
export function sampleData(input: ITensorMetadata): readonly unknown[] | null {
  const count = exampleShape(input).reduce((product, extent) => product * extent, 1);
  if (count > MAX_ELEMENTS || BINARY_ONLY.has(input.datatype)) {
    return null;
  }
  return new Array<unknown>(count).fill(SAMPLES[input.datatype] ?? 0);
}

/** The shape of metadata with one for every extent that may vary. */
export function exampleShape(input: ITensorMetadata): readonly number[] {
  return input.shape.map(extent => (extent < 0 ? 1 : extent));
}

/** Calls the model with zeros; asks for its metadata where zeros would not fit on a line. */
export function curlLine(baseUrl: string, model: IModelStatus): string {
  const url = URLExt.join(baseUrl, 'pyserve', 'v2', 'models', encodeURIComponent(model.name));
  const options = '-H "Authorization: token $PYSERVE_TOKEN"';
  const samples = model.inputs.map(sampleData);
  if (samples.includes(null)) {
    return `curl -sS ${options} ${quote(url)}`;
  }
  const json = "-H 'Content-Type: application/json'";
  if (model.decoupled) {
    const body = JSON.stringify(Object.fromEntries(model.inputs.map(({ name }, index) => [name, samples[index]])));
    return `curl -sSN ${options} ${json} -d ${quote(body)} ${quote(url + '/generate_stream')}`;
  }
  const inputs = model.inputs.map((input, index) => ({
    name: input.name,
    datatype: input.datatype,
    shape: exampleShape(input),
    data: samples[index],
  }));
  return `curl -sS ${options} ${json} -d ${quote(JSON.stringify({ inputs }))} ${quote(url + '/infer')}`;
}

/** For a cell of a notebook of this server. */
export function notebookCode(model: IModelStatus): string {
  const lines = ['import numpy as np', '', 'import jupyter_pyserve as pyserve', ''];
  lines.push(`model = pyserve.model(${python(model.name)})`);
  const names = model.inputs.map(input => input.name);
  // A name that Python could not have as a keyword goes into a dictionary.
  const plain = names.every(name => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name) && !KEYWORDS.has(name));
  const values = model.inputs.map(input => `${plain ? `${input.name}=` : `${python(input.name)}: `}${zeros(input)}`);
  const inputs = plain ? values.join(', ') : `**{${values.join(', ')}}`;
  if (model.decoupled) {
    lines.push(`for response in model.stream(${inputs}):`, '    print(response)');
  } else {
    lines.push(`model(${inputs})`);
  }
  return lines.join('\n');
}

/** An unmodified `tritonclient` through the Jupyter server. */
export function tritonclientCode(model: IModelStatus, grpcUrl: string | null): string {
  return model.decoupled ? streamingScript(model, grpcUrl ?? '127.0.0.1:8001') : script(model);
}

function script(model: IModelStatus): string {
  const result = `client.infer(${python(model.name)}, inputs, headers=headers)`;
  return [
    'import os',
    '',
    'import numpy as np',
    'import tritonclient.http as triton',
    '',
    'scheme, _, url = os.environ["PYSERVE_URL"].partition("://")',
    'client = triton.InferenceServerClient(url, ssl=scheme == "https")',
    'headers = {"Authorization": "token " + os.environ["PYSERVE_TOKEN"]}',
    ...inputLines(model),
    `result = ${result}`,
    ...(model.outputs ?? []).map(output => `print(result.as_numpy(${python(output.name)}))`),
  ].join('\n');
}

/** Many responses to a request need a stream, and so gRPC, which does not pass through Jupyter. */
function streamingScript(model: IModelStatus, grpcUrl: string): string {
  return [
    'import os',
    'import queue',
    '',
    'import numpy as np',
    'import tritonclient.grpc as triton',
    '',
    `client = triton.InferenceServerClient(${python(grpcUrl)})`,
    'headers = {"authorization": "token " + os.environ["PYSERVE_TOKEN"]}',
    ...inputLines(model),
    'answers = queue.Queue()',
    'client.start_stream(lambda result, error: answers.put((result, error)), headers=headers)',
    `client.async_stream_infer(${python(model.name)}, inputs, enable_empty_final_response=True)`,
    'while True:',
    '    result, error = answers.get()',
    '    if error is not None:',
    '        raise error',
    '    response = result.get_response()',
    '    if response.parameters["triton_final_response"].bool_param:',
    '        break',
    '    print(response)',
    'client.stop_stream()',
  ].join('\n');
}

function inputLines(model: IModelStatus): readonly string[] {
  const lines = ['inputs = []'];
  for (const input of model.inputs) {
    const shape = `[${exampleShape(input).join(', ')}]`;
    lines.push(`inputs.append(triton.InferInput(${python(input.name)}, ${shape}, ${python(input.datatype)}))`);
    lines.push(`inputs[-1].set_data_from_numpy(${zeros(input)})`);
  }
  return lines;
}

function zeros(input: ITensorMetadata): string {
  const shape = exampleShape(input);
  const tuple = shape.length === 1 ? `(${shape.join()},)` : `(${shape.join(', ')})`;
  if (input.datatype === 'BYTES') {
    return `np.full(${tuple}, b"text", dtype=object)`;
  }
  return `np.zeros(${tuple}, dtype=np.${NUMPY[input.datatype] ?? input.datatype.toLowerCase()})`;
}

/** A Python literal: what JSON escapes, Python reads the same. */
function python(text: string): string {
  return JSON.stringify(text);
}

function quote(text: string): string {
  return `'${text.replace(/'/g, `'\\''`)}'`;
}
