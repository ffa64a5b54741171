/** Names of skills. What stands in the API where an id would stand can be none. */
export const ID_PATTERN = '^[a-z0-9][a-z0-9._-]{0,63}$'

const RESERVED: ReadonlySet<string> = new Set(['runtime', 'validate'])

/** null: it may be one. @param id one that has the form of an id */
export const idFault = (id: string): string | null =>
  RESERVED.has(id) ? `is a word of the API (\`/v1/skills/${id}\`), so no skill can have it as its name; take another` : null
