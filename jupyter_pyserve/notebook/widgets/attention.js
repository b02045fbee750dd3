/**
 * Who looks at a live view: the kernel is told, and works only meanwhile.
 */

import { element, makeId, write } from './dom.js';

/**
 * What a front end hands to a view.
 *
 * @typedef {object} Model
 * @property {(name: string) => string} get
 * @property {(message: object) => void} send
 * @property {(event: 'msg:custom', heard: (message: any) => void) => void} on
 * @property {(event: 'msg:custom', heard: (message: any) => void) => void} off
 */

/** @typedef {{ model: Model, el: HTMLElement }} Place */

/**
 * Tells the kernel whether anybody sees `root`: in the window, and the window in front; `pause` is a button that ends
 * this for a while. Hides the still picture of the same view, and hands on the kernel's messages. Returns what ends it.
 *
 * @param {Model} model
 * @param {HTMLElement} root
 * @param {(message: any) => void} onMessage
 * @param {HTMLElement | null} pause
 */
export function attend(model, root, onMessage, pause = null) {
  const view = makeId();
  const picture = model.get('picture');
  root.append(element('style', {}, `.${picture}, .jp-OutputArea-child:has(.${picture}) { display: none; }`));
  let inside = false;
  let stopped = false;
  let told = false;
  const tell = () => {
    const seen = inside && !stopped && document.visibilityState === 'visible';
    if (seen !== told) {
      told = seen;
      model.send({ type: seen ? 'visible' : 'hidden', view });
    }
  };
  /** @param {boolean} on */
  const setStopped = on => {
    stopped = on;
    if (pause !== null) {
      write(pause, on ? 'Go on' : 'Pause');
    }
    tell();
  };
  /** @param {{ type: string }} message */
  const heard = message => {
    if (message.type === 'there?') {
      model.send({ type: 'here', view });
    } else if (message.type === 'stopped' && pause !== null) {
      setStopped(true);
    } else {
      onMessage(message);
    }
  };
  const observer = new IntersectionObserver(entries => {
    inside = entries.at(-1)?.isIntersecting ?? false;
    tell();
  });
  pause?.addEventListener('click', () => {
    setStopped(!stopped);
  });
  model.on('msg:custom', heard);
  document.addEventListener('visibilitychange', tell);
  observer.observe(root);
  return () => {
    observer.disconnect();
    document.removeEventListener('visibilitychange', tell);
    model.off('msg:custom', heard);
    inside = false;
    tell();
  };
}
