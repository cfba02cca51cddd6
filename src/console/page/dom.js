// Makes and updates elements. Everything that came from a server goes in as text or as an attribute, never as markup.
// Knows nothing of Raft.

const SVG = 'http://www.w3.org/2000/svg';

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else set(element, name, value);
  }
  for (const child of children) if (child !== null && child !== undefined) element.append(child);
  return element;
}

/** An HTML element with attributes (`onclick` and the like are listeners) and children (elements or text). */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same for SVG. */
export function s(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/** Sets an attribute where it differs; `null` and `false` remove it. */
export function set(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
    return;
  }
  const text = String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

/** Sets the text where it differs, so that a screen reader is not told the same thing again. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export const byId = (id) => document.getElementById(id);

/**
 * Makes the children of `parent` those of `items`, in order, and reuses the elements of keys that were there before.
 * `make(item)` builds one, `update(element, item)` brings it up to date.
 */
export function keyed(parent, items, keyOf, make, update) {
  const old = (parent.keyedChildren ??= new Map());
  const wanted = new Set(items.map(keyOf));
  for (const [key, element] of old) {
    if (!wanted.has(key)) {
      element.remove();
      old.delete(key);
    }
  }
  let before = null;
  for (const item of items) {
    const key = keyOf(item);
    let element = old.get(key);
    if (!element) old.set(key, (element = make(item)));
    const place = before ? before.nextSibling : parent.firstChild;
    if (element !== place) parent.insertBefore(element, place);
    update(element, item);
    before = element;
  }
}
