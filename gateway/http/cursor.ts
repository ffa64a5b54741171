/**
 * Cursors of lists: where to go on, for exactly the same question. Opaque and signed, so that a changed one, or one of another list, filter or
 * tenant, is refused instead of giving a wrong page.
 */
import { hash } from 'node:crypto'
import { isJsonObject } from '#contract'
import type { HttpRequest, JsonObject, JsonValue } from '#contract'
import { ProtocolError } from './problem.ts'
import type { Signer } from './signer.ts'

/** The query members every list takes. */
export const PAGING: { readonly [name: string]: JsonObject } = {
  limit: { type: 'integer', minimum: 1, maximum: 200, default: 50, description: 'How many at most.' },
  cursor: { type: 'string', maxLength: 512, description: 'The `cursor` of the page before.' },
}

export interface Page<Row> {
  /** Names the list; what is asked for beside it. */
  readonly request: HttpRequest
  readonly list: string
  /** Reads `limit` rows that come after `before`. */
  read(before: number | null, limit: number): Promise<readonly Row[]>
  seqOf(row: Row): number
  show(row: Row): JsonValue | Promise<JsonValue>
}

export interface Whole<Row> extends Pick<Page<Row>, 'request' | 'list' | 'show'> {
  readonly rows: readonly Row[]
}

export class Cursors {
  readonly #signer: Signer

  constructor(signer: Signer) {
    this.#signer = signer
  }

  /** `{data, cursor}`; the cursor is null on the last page. */
  async page<Row>(page: Page<Row>): Promise<JsonObject> {
    const { cursor, limit, ...filter } = page.request.query
    const size = typeof limit === 'number' ? limit : 50
    const sorted = Object.entries(filter).sort(([a], [b]) => (a < b ? -1 : 1))
    const { params, principal } = page.request
    const question = hash('sha256', JSON.stringify([page.list, principal?.tenant ?? null, params, sorted]), 'base64url').slice(0, 16)
    const before = typeof cursor === 'string' ? this.#open(cursor, question) : null
    const { data, last } = await gather(page, before, size)
    return { data, cursor: last === null ? null : this.#signer.seal(JSON.stringify({ k: last, f: question })) }
  }

  /** A page of a list that is held whole. A row's number is its place: what comes or goes meanwhile may shift a page. */
  whole<Row>({ request, list, rows, show }: Whole<Row>): Promise<JsonObject> {
    const numbered = rows.map((row, index) => ({ row, seq: index + 1 }))
    return this.page({
      request,
      list,
      read: async (before, limit) => numbered.slice(before ?? 0, (before ?? 0) + limit),
      seqOf: ({ seq }) => seq,
      show: ({ row }) => show(row),
    })
  }

  #open(cursor: string, question: string): number {
    const text = this.#signer.open(cursor)
    const value = text === null ? null : (JSON.parse(text) as JsonValue)
    if (isJsonObject(value) && typeof value['k'] === 'number' && value['f'] === question) return value['k']
    throw new ProtocolError('The cursor is not one of this list with this filter. Begin again without it.', {
      code: 'INVALID_CURSOR',
      slug: 'invalid-request',
      faults: [{ pointer: '#/query/cursor', detail: 'changed, or made for another question' }],
    })
  }
}

/** A page ends when it weighs so much, however many it was asked for: messages may be as large as bodies are. */
const PAGE_BYTES = 4 * 1024 * 1024
/** Read first, to see how large they are. */
const FIRST_ROWS = 4

/** `last`: the seq to go on after; null: there is no more. */
async function gather<Row>(
  page: Page<Row>,
  from: number | null,
  size: number,
): Promise<{ readonly data: JsonValue[]; readonly last: number | null }> {
  const data: JsonValue[] = []
  let bytes = 0
  for (let before = from, want = Math.min(FIRST_ROWS, size); ;) {
    const rows = await page.read(before, want + 1)
    const taken = rows.slice(0, want)
    for (const shown of await Promise.all(taken.map((row) => Promise.resolve(page.show(row))))) {
      data.push(shown)
      bytes += JSON.stringify(shown).length
    }
    const last = taken.at(-1)
    if (last === undefined || rows.length <= want) return { data, last: null }
    before = page.seqOf(last)
    const affordable = Math.floor((PAGE_BYTES - bytes) / (bytes / data.length))
    want = Math.min(size - data.length, affordable)
    if (want <= 0) return { data, last: before }
  }
}
