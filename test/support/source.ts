/**
 * Reads the project's own source for `test/architecture.test.ts`: comments, string literals and imports of a file, by a
 * small scanner of the tokens that can hide one another. Knows no rule; what is allowed stands in the test.
 */
import { globSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'

export interface Source {
  readonly path: string
  readonly text: string
  /** The text without its comments, line for line. */
  readonly code: string
  /** Lines that hold code. */
  readonly lines: number
  readonly literals: readonly Literal[]
  readonly imports: readonly Import[]
}

/** A string literal's content, and the line of code that it stands in. */
export interface Literal {
  readonly value: string
  readonly line: string
}

/** `ours`: the path of a file of this project. `outside`: a package or a Node module, by the name it is installed under. */
export interface Import {
  readonly specifier: string
  readonly ours: string | null
  readonly outside: string | null
}

/** Comment, string, template, regular expression: whichever begins first hides the others. */
const TOKENS =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`|(?<=[=(,:[!&|?{};\n]\s*|return\s+)\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])*\//g
const IMPORTS = /(?:\bfrom|\bimport\s*\(?)\s*(['"])([^'"\n]+)\1|\bnew URL\(\s*(['"])(\.{1,2}\/[^'"\n]+\.[jt]s)\3,\s*import\.meta\.url/g

const isComment = (token: string): boolean => token.startsWith('/*') || token.startsWith('//')
const isString = (token: string): boolean => /^['"`]/.test(token)

export function parseSource(path: string, text: string): Source {
  const found: { readonly value: string; readonly at: number }[] = []
  const kept = text.replace(TOKENS, (token: string, at: number) => {
    if (isString(token)) found.push({ value: token.slice(1, -1), at })
    return isComment(token) ? token.replaceAll(/[^\n]/g, ' ') : token
  })
  return {
    path,
    text,
    code: kept,
    lines: kept.split('\n').filter((line) => line.trim() !== '').length,
    literals: found.map(({ value, at }) => ({ value, line: lineAt(kept, at) })),
    imports: [...kept.matchAll(IMPORTS)]
      .filter((match) => found.some(({ at }) => at === match.index + match[0].search(/['"]/)))
      .map((match) => parseImport(path, match[2] ?? match[4] ?? '')),
  }
}

/** All files of the project that match, below `root`. */
export function readSources(root: string, patterns: readonly string[]): readonly Source[] {
  return globSync([...patterns], { cwd: root, exclude: ['**/node_modules/**'] })
    .sort()
    .map((path) => parseSource(path, readFileSync(posix.join(root, path), 'utf8')))
}

function lineAt(text: string, at: number): string {
  const end = text.indexOf('\n', at)
  return text.slice(text.lastIndexOf('\n', at) + 1, end === -1 ? text.length : end)
}

function parseImport(from: string, specifier: string): Import {
  if (specifier === '#contract') return { specifier, ours: 'gateway/contract/index.ts', outside: null }
  if (specifier.startsWith('.') || specifier.startsWith('#')) {
    return { specifier, ours: posix.join(posix.dirname(from), specifier), outside: null }
  }
  if (specifier.startsWith('node:')) return { specifier, ours: null, outside: specifier }
  const [scope = '', name = ''] = specifier.split('/')
  return { specifier, ours: null, outside: scope.startsWith('@') ? `${scope}/${name}` : scope }
}
