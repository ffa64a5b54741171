/** `${NAME}` and `${NAME:-default}` in a text of the configuration; `$${` stands for `${` itself. */

export type Interpolated =
  /** `names`: the variables that were used. */
  | { readonly ok: true; readonly text: string; readonly names: readonly string[] }
  | { readonly ok: false; readonly problem: string; readonly at: number }

export type Environment = { readonly [name: string]: string | undefined }

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g
const NAMED = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/

/** A default is taken when the variable is unset or empty, as in a shell. */
export function interpolate(text: string, env: Environment): Interpolated {
  if (!text.includes('${')) return { ok: true, text, names: [] }
  const names: string[] = []
  let problem: { readonly problem: string; readonly at: number } | undefined
  const filled = text.replace(REFERENCE, (whole: string, inner: string | undefined, close: string | undefined, at: number) => {
    if (whole === '$${') return '${'
    const [, name, fallback] = NAMED.exec(inner ?? '') ?? []
    if (name === undefined || close !== '}') {
      problem ??= {
        problem: `"\${" opens a reference like \${NAME} or \${NAME:-default}, expected such a name; write "$\${" for the two characters`,
        at,
      }
      return ''
    }
    const value = env[name]
    if (value !== undefined && (value !== '' || fallback === undefined)) {
      names.push(name)
      return value
    }
    if (fallback === undefined) {
      problem ??= { problem: `the environment variable ${name} is not set, expected a value; set it or write \${${name}:-default}`, at }
    }
    return fallback ?? ''
  })
  return problem ? { ok: false, ...problem } : { ok: true, text: filled, names }
}
