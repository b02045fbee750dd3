import { curlLine, notebookCode, tritonclientCode } from '../client/snippets';
import { adder } from './samples';

const BASE = 'http://localhost:8888/';

describe('curlLine', () => {
  it('calls the model with zeros', () => {
    expect(curlLine(BASE, adder)).toBe(
      'curl -sS -H "Authorization: token $PYSERVE_TOKEN" -H \'Content-Type: application/json\' ' +
        '-d \'{"inputs":[{"name":"INPUT0","datatype":"FP32","shape":[1,2],"data":[0,0]}]}\' ' +
        "'http://localhost:8888/pyserve/v2/models/adder/infer'",
    );
  });

  it.each([
    ['BYTES', '"text"'],
    ['BOOL', 'false'],
    ['INT64', '0'],
  ])('has a sample for %s', (datatype, element) => {
    const model = { ...adder, inputs: [{ name: 'X', datatype, shape: [1] }] };
    expect(curlLine(BASE, model)).toContain(`"data":[${element}]`);
  });

  it.each([
    ['FP16', [1]],
    ['BF16', [1]],
    ['FP32', [224, 224, 3]],
  ])('falls back to the metadata for %s %j', (datatype, shape) => {
    const line = curlLine(BASE, { ...adder, inputs: [{ name: 'X', datatype, shape }] });
    expect(line).toMatch(/'http:\/\/localhost:8888\/pyserve\/v2\/models\/adder'$/);
    expect(line).not.toContain('-d');
  });

  it('lets no name out of its quotes', () => {
    const hostile = "x'; touch /pwned; '$(id)`id`";
    const line = curlLine(BASE, { ...adder, name: hostile, inputs: [{ name: hostile, datatype: 'FP32', shape: [1] }] });
    // Without what is inside single quotes, where the shell reads nothing, only our own words are left.
    const bare = line.replace(/'[^']*'|\\'/g, '');
    expect(bare.trim()).toBe('curl -sS -H "Authorization: token $PYSERVE_TOKEN" -H  -d');
  });

  it('streams what a decoupled model answers', () => {
    const line = curlLine(BASE, { ...adder, decoupled: true });
    expect(line).toMatch(/^curl -sSN .* -d '{"INPUT0":\[0,0\]}' '.*\/adder\/generate_stream'$/);
  });
});

describe('notebookCode', () => {
  it('calls the model by the names of its inputs', () => {
    const code = notebookCode(adder);
    expect(code).toMatch(/^import numpy as np$/m);
    expect(code).toMatch(/^model = pyserve.model\("adder"\)$/m);
    expect(code).toMatch(/^model\(INPUT0=np.zeros\(\(1, 2\), dtype=np.float32\)\)$/m);
  });

  it('iterates over what a decoupled model answers', () => {
    expect(notebookCode({ ...adder, decoupled: true })).toContain('for response in model.stream(INPUT0=');
  });

  it.each(['class', 'a-b', '1x'])('passes an input that Python could not name: %s', name => {
    const model = { ...adder, inputs: [{ name, datatype: 'INT64', shape: [1] }] };
    expect(notebookCode(model)).toContain(`model(**{"${name}": np.zeros((1,), dtype=np.int64)})`);
  });

  it('lets no name out of its quotes', () => {
    const name = '")\nimport os  # \u2028';
    expect(notebookCode({ ...adder, name })).toContain(`pyserve.model("\\")\\nimport os  # \u2028")`);
  });
});

describe('tritonclientCode', () => {
  it('names each input and output', () => {
    const outputs = [{ name: 'OUT', datatype: 'BYTES', shape: [1] }];
    const code = tritonclientCode({ ...adder, outputs }, null);
    expect(code).toContain('import tritonclient.http as triton');
    expect(code).toContain('triton.InferInput("INPUT0", [1, 2], "FP32")');
    expect(code).toContain('print(result.as_numpy("OUT"))');
    expect(code).not.toContain('secret');
  });

  it('streams over gRPC from a decoupled model', () => {
    const code = tritonclientCode({ ...adder, decoupled: true }, '127.0.0.1:4001');
    expect(code).toContain('import tritonclient.grpc as triton');
    expect(code).toContain('InferenceServerClient("127.0.0.1:4001")');
    expect(code).toContain('async_stream_infer("adder"');
  });
});
