import { curlLine } from '../curl';
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
    ['BYTES', '""'],
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
});
