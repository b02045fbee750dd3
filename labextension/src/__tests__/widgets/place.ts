import type { Place } from '../../../../jupyter_pyserve/notebook/widgets/attention.js';

/** Of what a stranger may have chosen: markup in a name, an error or a log. */
export const EVIL = '<img src=x onerror="alert(1)">';

/** A view in a page, with a kernel that only records what it is told. */
export class Shown {
  constructor(view: { render: (place: Place) => () => void }) {
    globalThis.IntersectionObserver = FakeObserver as unknown as typeof IntersectionObserver;
    document.body.replaceChildren(this.el);
    this.end = view.render({ el: this.el, model: this.model });
  }

  readonly el = document.createElement('div');
  readonly sent: Record<string, unknown>[] = [];
  readonly end: () => void;

  /** What the kernel does. */
  say(message: object): void {
    [...this._listeners].forEach(heard => {
      heard(message);
    });
  }

  /** What scrolling does. */
  scroll(isIntersecting: boolean): void {
    FakeObserver.last?.call(isIntersecting);
  }

  get listening(): boolean {
    return this._listeners.size > 0;
  }

  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters -- whoever looks for it knows what it is
  find<Found extends Element = HTMLElement>(selector: string): Found {
    const found = this.el.querySelector<Found>(selector);
    if (found === null) {
      throw new Error(`there is no ${selector}`);
    }
    return found;
  }

  button(label: string): HTMLButtonElement {
    const found = [...this.el.querySelectorAll('button')].find(button => button.textContent === label);
    if (found === undefined) {
      throw new Error(`there is no button ${label}`);
    }
    return found;
  }

  texts(selector: string): (string | null)[] {
    return [...this.el.querySelectorAll(selector)].map(node => node.textContent);
  }

  private readonly _listeners = new Set<(message: object) => void>();
  readonly model: Place['model'] = {
    get: () => 'pyserve-picture-7',
    send: message => {
      this.sent.push(message as Record<string, unknown>);
    },
    on: (_, heard) => {
      this._listeners.add(heard);
    },
    off: (_, heard) => {
      this._listeners.delete(heard);
    },
  };
}

class FakeObserver {
  static last: FakeObserver | null = null;

  constructor(readonly tell: (entries: { isIntersecting: boolean }[]) => void) {
    FakeObserver.last = this;
  }

  call(isIntersecting: boolean): void {
    this.tell([{ isIntersecting }]);
  }

  observe(): void {
    this.call(true);
  }

  disconnect(): void {
    FakeObserver.last = null;
  }
}
