import { copy, element, makeId, shape, write } from '../../../../jupyter_pyserve/notebook/widgets/dom.js';
import { EVIL } from './place';

describe('element', () => {
  it('takes children and attributes as texts', () => {
    const node = element('p', { title: EVIL }, EVIL);
    expect([node.children.length, node.textContent, node.title]).toEqual([0, EVIL, EVIL]);
  });

  it('leaves out attributes that are null or false', () => {
    const node = element('input', { disabled: true, hidden: false, id: null, name: undefined, size: 0 });
    expect([...node.attributes].map(({ name, value }) => [name, value])).toEqual([
      ['disabled', ''],
      ['size', '0'],
    ]);
  });
});

test('a shape is one of SVG', () => {
  expect(shape('g', { id: 'a' }, shape('title', {}, 'b')).namespaceURI).toBe('http://www.w3.org/2000/svg');
});

test('a text that is there already is left alone, with what is selected in it', () => {
  const node = element('p', {}, 'same');
  const before = node.firstChild;
  write(node, 'same');
  expect(node.firstChild).toBe(before);
  write(node, null);
  expect(node.textContent).toBe('');
});

test('two ids differ', () => {
  expect(makeId()).not.toBe(makeId());
});

describe('copy', () => {
  const original = Object.getOwnPropertyDescriptor(navigator, 'clipboard');
  const clipboard = (value: unknown): void => {
    Object.defineProperty(navigator, 'clipboard', { configurable: true, value });
  };

  afterEach(() => {
    Object.defineProperty(navigator, 'clipboard', original ?? { configurable: true, value: undefined });
  });

  it('selects the text where there is no clipboard, or none to be had', async () => {
    for (const refusing of [undefined, { writeText: () => Promise.reject(new Error('no')) }]) {
      clipboard(refusing);
      window.getSelection()?.removeAllRanges();
      const node = element('pre', {}, 'a line');
      document.body.replaceChildren(node);
      copy('a line', node);
      await Promise.resolve();
      await Promise.resolve();
      expect(window.getSelection()?.anchorNode).toBe(node);
    }
  });

  it('writes to the clipboard otherwise', () => {
    const writeText = jest.fn(() => Promise.resolve());
    clipboard({ writeText });
    copy('a line', document.body);
    expect(writeText).toHaveBeenCalledWith('a line');
  });
});
