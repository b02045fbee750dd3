/**
 * What the live views have in common: elements whose values are text, figures as people read them, and who looks.
 *
 * Names, logs and errors come from strangers: they become text nodes and attributes, never markup.
 */

const SVG = 'http://www.w3.org/2000/svg';

/** An element; `properties` are attributes, or listeners where they begin with "on". */
export function element(name, properties = {}, ...children) {
  return dress(document.createElement(name), properties, children);
}

export function shape(name, properties = {}, ...children) {
  return dress(document.createElementNS(SVG, name), properties, children);
}

function dress(node, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith('on')) {
      node.addEventListener(key.slice(2), value);
    } else if (value !== undefined && value !== null && value !== false) {
      node.setAttribute(key, value === true ? '' : String(value));
    }
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

/** Writes a text where another one is. */
export function write(node, text) {
  const wanted = text === null || text === undefined ? '' : String(text);
  if (node.textContent !== wanted) {
    node.textContent = wanted;
  }
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

export function formatBytes(nbytes) {
  let value = nbytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[unit]}`;
}

export function formatNumber(value) {
  if (Number.isInteger(value)) {
    return value.toLocaleString('en');
  }
  const size = Math.abs(value);
  return size >= 100 ? value.toFixed(0) : value.toFixed(size >= 10 ? 1 : 2);
}

export function formatMs(value) {
  return value < 1 ? `${(value * 1000).toFixed(0)} µs` : `${formatNumber(value)} ms`;
}

export function formatPercent(value) {
  return `${value >= 10 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
}

/** The figure, or nothing where there is none. */
export function shown(value, format) {
  return value === null || value === undefined ? '' : format(value);
}

/** Points of a line: `points` are pairs of x and y, of which y may be missing. */
export function linePoints(points, { width, height, from, to, peak }) {
  const span = to - from || 1;
  return points
    .filter(([x, y]) => y !== null && y !== undefined && x >= from)
    .map(([x, y]) => {
      const across = (width * (x - from)) / span;
      const down = height - 2 - (peak > 0 ? (height - 6) * (y / peak) : 0);
      return `${across.toFixed(1)},${down.toFixed(1)}`;
    })
    .join(' ');
}

/** A message to the clipboard; where that is refused, what was to be copied is selected. */
export function copy(text, fallback) {
  const refused = () => {
    const range = document.createRange();
    range.selectNodeContents(fallback);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  navigator.clipboard ? navigator.clipboard.writeText(text).catch(refused) : refused();
}

/**
 * Tells the kernel whether anybody sees `node`: in the window, and the window in front. Hides the still picture of
 * the same view meanwhile. Gives what ends this, and what stops and goes on by hand.
 */
export function attend(model, node) {
  const view = crypto.randomUUID();
  const picture = model.get('picture');
  const hush = element('style');
  write(hush, `.${picture}, .jp-OutputArea-child:has(.${picture}) { display: none; }`);
  node.append(hush);
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
  const observer = new IntersectionObserver(entries => {
    inside = entries[entries.length - 1].isIntersecting;
    tell();
  });
  const heard = message => {
    if (message.type === 'there?') {
      model.send({ type: 'here', view });
    }
  };
  model.on('msg:custom', heard);
  document.addEventListener('visibilitychange', tell);
  observer.observe(node);
  return {
    stop(on) {
      stopped = on;
      tell();
    },
    end() {
      observer.disconnect();
      document.removeEventListener('visibilitychange', tell);
      model.off('msg:custom', heard);
      inside = false;
      tell();
    },
  };
}
