/**
 * Elements whose values are text. Names, logs and errors come from strangers: they become text nodes and attributes,
 * never markup.
 */

const SVG = 'http://www.w3.org/2000/svg';

/**
 * @typedef {Node | string} Child
 * @typedef {Record<string, string | number | boolean | null | undefined>} Attributes
 */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} name
 * @param {Attributes} attributes those that are null or false are left out
 * @param {...Child} children
 */
export function element(name, attributes = {}, ...children) {
  return dress(document.createElement(name), attributes, children);
}

/**
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} name
 * @param {Attributes} attributes
 * @param {...Child} children
 */
export function shape(name, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, name), attributes, children);
}

/**
 * @template {Element} Dressed
 * @param {Dressed} node
 * @param {Attributes} attributes
 * @param {Child[]} children
 */
function dress(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) {
      node.setAttribute(key, value === true ? '' : String(value));
    }
  }
  node.append(...children);
  return node;
}

/**
 * @param {string} label
 * @param {Attributes} attributes
 */
export function makeButton(label, attributes = {}) {
  return element('button', { type: 'button', class: 'pyserve-button', ...attributes }, label);
}

/** Random, and to be had of pages that were not fetched over TLS too. */
export function makeId() {
  return `pyserve-${crypto.getRandomValues(new Uint32Array(3)).join('-')}`;
}

/**
 * Writes a text where another one is.
 *
 * @param {Node} node
 * @param {string | number | null | undefined} text
 */
export function write(node, text) {
  const wanted = String(text ?? '');
  if (node.textContent !== wanted) {
    node.textContent = wanted;
  }
}

/**
 * A text to the clipboard; where that is refused, what was to be copied is selected.
 *
 * @param {string} text
 * @param {Node} fallback
 */
export function copy(text, fallback) {
  const refused = () => {
    window.getSelection()?.selectAllChildren(fallback);
  };
  // Only pages that were fetched over TLS have one.
  const clipboard = /** @type {Clipboard | undefined} */ (navigator.clipboard);
  if (clipboard === undefined) {
    refused();
  } else {
    clipboard.writeText(text).catch(refused);
  }
}
