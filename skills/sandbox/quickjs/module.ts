/** Which file of a bundle an `import` means. There is nothing else to import: no packages, no Node, no addresses. */

export type Resolved = { readonly path: string } | { readonly fault: string }

/** `from`: path of the importing file, or '' for the entrypoint itself. */
export function resolveImport(files: ReadonlyMap<string, string>, from: string, asked: string): Resolved {
  const isRelative = asked.startsWith('./') || asked.startsWith('../')
  if (!isRelative && from !== '') {
    return { fault: `cannot import "${shorten(asked)}" in ${from}: only files of the skill can be imported, as "./name.js"` }
  }
  const path = normalise(isRelative ? [...from.split('/').slice(0, -1), ...asked.split('/')] : asked.split('/'))
  if (path === null || !files.has(path))
    return { fault: `there is no file "${shorten(asked)}" in the skill${from === '' ? '' : ` (imported in ${from})`}` }
  return { path }
}

/** What is compiled for a file: a module is its own source, JSON becomes the default export. */
export function moduleSource(path: string, text: string): string {
  return path.endsWith('.json') ? `export default JSON.parse(${JSON.stringify(text)})` : text
}

export const isImportable = (path: string): boolean => /\.(?:m?js|json)$/.test(path)

function normalise(segments: readonly string[]): string | null {
  const path: string[] = []
  for (const segment of segments) {
    if (segment === '' || segment === '.') continue
    if (segment !== '..') path.push(segment)
    else if (path.pop() === undefined) return null
  }
  return path.join('/')
}

const shorten = (text: string): string => (text.length > 100 ? `${text.slice(0, 100)}…` : text)
