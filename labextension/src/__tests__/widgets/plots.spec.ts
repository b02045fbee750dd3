import { linePoints, makeBars } from '../../../../jupyter_pyserve/notebook/widgets/plots.js';

const AREA = { width: 100, height: 40, from: 100, to: 200, peak: 10 };

test('a line goes from left to right, and up with its values', () => {
  const points = [
    [100, 0],
    [150, 5],
    [200, 10],
  ];
  expect(linePoints(points, 1, AREA)).toBe('0.0,38.0 50.0,21.0 100.0,4.0');
});

test('what is not known, or long ago, is no point', () => {
  const points = [[50, 1], [150, null], [160], [200, 0]];
  expect(linePoints(points, 1, { ...AREA, peak: 0 })).toBe('100.0,38.0');
});

test('bars are in order, the largest sizes if there are too many', () => {
  const bars = makeBars();
  bars.draw(Object.fromEntries(Array.from({ length: 14 }, (_, size) => [String(100 - size), size + 1])));
  const sizes = [...bars.node.querySelectorAll('text')].map(node => node.textContent);
  expect([sizes.length, sizes[0], sizes[11]]).toEqual([12, '89', '100']);
  expect(bars.node.querySelector('title')?.textContent).toBe('89: 12 times');
});
