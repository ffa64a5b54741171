/**
 * One connection with its prepared statements. Rows enter the program here: the tables are STRICT, so a row has the
 * types its statement names. Text that is not Unicode is refused, because SQLite would alter it in silence.
 */
import { InvalidError } from '#contract'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'

export class Sql {
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #known = new Map<string, unknown>()
  #writes = 0
  #hasNews = false

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  /** How many statements wrote so far: whether a command that failed had begun to change something. */
  get writes(): number {
    return this.#writes
  }

  /** How many rows this connection altered, added or took away so far, by whatever statement. */
  changes(): number {
    return this.get<{ n: number }>('SELECT total_changes() AS n')?.n ?? 0
  }

  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the statement's text says what a row is, the caller names it
  get<Row>(text: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#prepare(text, values).get(...values) as Row | undefined
  }

  all<Row>(text: string, ...values: SQLInputValue[]): Row[] {
    return this.#prepare(text, values).all(...values) as Row[]
  }

  /** Row by row, for whoever stops early. */
  iterate<Row>(text: string, ...values: SQLInputValue[]): Iterable<Row> {
    return this.#prepare(text, values).iterate(...values) as Iterable<Row>
  }

  /** Answers how many rows changed. */
  run(text: string, ...values: SQLInputValue[]): number {
    const statement = this.#prepare(text, values)
    this.#writes++
    return Number(statement.run(...values).changes)
  }

  /** Answers the running number of the new row. */
  insert(text: string, ...values: SQLInputValue[]): number {
    const statement = this.#prepare(text, values)
    this.#writes++
    return Number(statement.run(...values).lastInsertRowid)
  }

  /** The same, or null where `ON CONFLICT DO NOTHING` left it out. */
  insertNew(text: string, ...values: SQLInputValue[]): number | null {
    const { changes, lastInsertRowid } = this.#prepare(text, values).run(...values)
    this.#writes++
    return changes === 0 ? null : Number(lastInsertRowid)
  }

  begin(): void {
    this.#prepare('BEGIN IMMEDIATE', []).run()
  }

  beginRead(): void {
    this.#prepare('BEGIN', []).run()
  }

  commit(): void {
    this.#prepare('COMMIT', []).run()
  }

  /** SQLite rolls some failures back by itself. */
  rollback(): void {
    this.#known.clear()
    if (this.#database.isTransaction) this.#prepare('ROLLBACK', []).run()
  }

  /** What rarely changes and is asked for often, read once. Whoever changes it calls `forget`; what is rolled back is forgotten too. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- each key has one maker, which says what it is
  remember<Value>(key: string, make: () => Value): Value {
    if (!this.#known.has(key)) this.#known.set(key, make())
    return this.#known.get(key) as Value
  }

  forget(key: string): void {
    this.#known.delete(key)
  }

  /** Something was written that the other thread has to be told of. */
  tellNews(): void {
    this.#hasNews = true
  }

  /** Whether there is such since the last time. */
  takeNews(): boolean {
    const hasNews = this.#hasNews
    this.#hasNews = false
    return hasNews
  }

  /** The texts come from the code alone, so the cache is as bounded as the code. */
  #prepare(text: string, values: readonly SQLInputValue[]): StatementSync {
    for (const value of values) {
      if (typeof value === 'string' && !value.isWellFormed()) throw notUnicode()
    }
    let statement = this.#statements.get(text)
    if (statement === undefined) {
      statement = this.#database.prepare(text)
      this.#statements.set(text, statement)
    }
    return statement
  }
}

const notUnicode = (): InvalidError =>
  new InvalidError(
    'An identifier of the message (key, lane, peer, sender or the like) holds half of a surrogate pair, which is no Unicode text. Send well-formed text.',
    { code: 'MESSAGE_NOT_UNICODE' },
  )
