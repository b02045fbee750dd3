import { attend } from '../../../../jupyter_pyserve/notebook/widgets/attention.js';
import { makeButton } from '../../../../jupyter_pyserve/notebook/widgets/dom.js';
import { Shown } from './place';

function show(): { shown: Shown; heard: object[]; types: () => unknown[] } {
  const heard: object[] = [];
  const shown = new Shown({
    render: ({ model, el }) => {
      const pause = makeButton('Pause');
      const root = document.createElement('section');
      root.append(pause);
      el.append(root);
      return attend(model, root, message => heard.push(message as object), pause);
    },
  });
  return { shown, heard, types: () => shown.sent.splice(0).map(message => message.type) };
}

function setVisibility(state: string): void {
  Object.defineProperty(document, 'visibilityState', { configurable: true, value: state });
  document.dispatchEvent(new Event('visibilitychange'));
}

afterEach(() => {
  setVisibility('visible');
});

test('the kernel is told once whether anybody looks', () => {
  const { shown, types } = show();
  expect(types()).toEqual(['visible']);
  shown.scroll(true);
  expect(types()).toEqual([]);
  shown.scroll(false);
  expect(types()).toEqual(['hidden']);
});

test('nobody looks at a window that is behind others', () => {
  const { types } = show();
  setVisibility('hidden');
  setVisibility('visible');
  expect(types()).toEqual(['visible', 'hidden', 'visible']);
});

test('the button pauses and goes on; the kernel may pause too', () => {
  const { shown, heard, types } = show();
  shown.button('Pause').click();
  shown.button('Go on').click();
  shown.say({ type: 'stopped' });
  expect(shown.button('Go on').isConnected).toBe(true);
  expect(types()).toEqual(['visible', 'hidden', 'visible', 'hidden']);
  expect(heard).toEqual([]);
});

test('the view answers for itself, and the rest is handed on', () => {
  const { shown, heard } = show();
  shown.say({ type: 'there?' });
  shown.say({ type: 'tick' });
  const [seen, here] = shown.sent;
  expect(here).toEqual({ type: 'here', view: seen?.view });
  expect(heard).toEqual([{ type: 'tick' }]);
});

test('the picture beside the view is hidden while the view is there', () => {
  const { shown } = show();
  const picture = document.createElement('p');
  picture.className = 'pyserve-picture-7';
  document.body.append(picture);
  expect(getComputedStyle(picture).display).toBe('none');
  shown.el.remove();
  expect(getComputedStyle(picture).display).toBe('block');
});

test('at its end nobody looks or listens', () => {
  const { shown, types } = show();
  shown.end();
  setVisibility('hidden');
  setVisibility('visible');
  expect(types()).toEqual(['visible', 'hidden']);
  expect(shown.listening).toBe(false);
});
