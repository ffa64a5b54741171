/**
 * `${NAME}`, `${file:name}`, `${vault:path#field}`, each also with `:-default`, in a text of the configuration; `$${` stands for `${` itself. Finds
 * references and puts answers in their place; who answers is `gateway/secrets`.
 */
import type { Resolution } from '../secrets/source.ts'

export type Interpolated =
  /** `used`: the references that were filled in. `secrets`: those of their values that are secret wherever they stand. */
  | {
      readonly ok: true
      readonly text: string
      readonly used: readonly string[]
      readonly values: readonly string[]
      readonly secrets: readonly string[]
    }
  /** `problem` null: nobody was asked, and why that is so is told elsewhere. */
  | { readonly ok: false; readonly problem: string | null; readonly at: number }

export type { Environment } from '../secrets/source.ts'
/** The answer to a reference; undefined: nobody was asked. */
export type Lookup = (reference: string) => Resolution | undefined

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g
/** A variable, or a source and what it calls the secret. `${file:-x}` is the variable `file` with a default. */
const FORM = /^([A-Za-z_][A-Za-z0-9_]*|[a-z][a-z0-9_]*:(?!-)[^\s]+?)(?::-([\s\S]*))?$/

/** Those in a text that are well formed. */
export function referencesIn(text: string): readonly string[] {
  if (!text.includes('${')) return []
  return [...text.matchAll(REFERENCE)].flatMap(([, inner, close]) => (close === '}' ? (FORM.exec(inner ?? '')?.[1] ?? []) : []))
}

/** A default is taken when the value is missing or empty, as in a shell; not when its source failed. */
export function interpolate(text: string, lookup: Lookup): Interpolated {
  if (!text.includes('${')) return { ok: true, text, used: [], values: [], secrets: [] }
  const used: string[] = []
  const values: string[] = []
  const secrets: string[] = []
  let problem: { readonly problem: string | null; readonly at: number } | undefined
  const filled = text.replace(REFERENCE, (whole: string, inner: string | undefined, close: string | undefined, at: number) => {
    if (whole === '$${') return '${'
    const [, reference, fallback] = FORM.exec(inner ?? '') ?? []
    if (reference === undefined || close !== '}') {
      problem ??= {
        problem: `"\${" opens a reference like \${NAME}, \${NAME:-default}, \${file:name} or \${vault:path#field}, expected one; write "$\${" for the two characters`,
        at,
      }
      return ''
    }
    const answer = lookup(reference)
    if (answer?.is === 'value' && (answer.value !== '' || fallback === undefined)) {
      used.push(reference)
      values.push(answer.value)
      if (answer.isSecret) secrets.push(answer.value)
      return answer.value
    }
    if (answer === undefined) problem ??= { problem: null, at }
    else if (answer.is === 'failed') problem ??= { problem: answer.problem, at }
    else if (fallback === undefined && answer.is === 'missing') {
      problem ??= { problem: `${answer.problem}, expected a value; set it or write \${${reference}:-default}`, at }
    }
    return fallback ?? ''
  })
  return problem ? { ok: false, ...problem } : { ok: true, text: filled, used, values, secrets }
}
