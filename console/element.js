// @ts-check
/**
 * Makes and finds DOM nodes. Text always enters the page as text nodes here and in `markdown.js`; nothing in the console
 * writes markup from data.
 */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag)
  // Children first: Chromium looks all of them through again for each that is put into an element with `dir="auto"`.
  node.append(...children)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  return node
}

/**
 * The element of `index.html` with that id; its absence is a fault of ours.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const node = document.getElementById(id)
  if (!(node instanceof kind)) throw new Error(`index.html has no ${kind.name} with the id ${id}`)
  return node
}
