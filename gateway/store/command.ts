/**
 * What a port looks like on the worker's side: the same methods, synchronous, given the connection first. The main side's
 * methods are made from these, so nothing is written twice.
 */
import type { Sql } from './sql.ts'

export type Handler<Args extends readonly never[] = never[], Result = unknown> = (sql: Sql, ...args: Args) => Result

/** A result that is JSON already, put together from rows that are JSON, so that they need not be parsed to be sent on. */
export class Json<Result> {
  readonly text: string
  /** Only for the types: what the text says. */
  declare readonly result: Result
  constructor(text: string) {
    this.text = text
  }
}

/** The handlers of (a part of) a port. */
export type Handlers<Port> = {
  readonly [Method in keyof Port]: Port[Method] extends (...args: infer Args) => Promise<infer Result>
    ? (sql: Sql, ...args: Args) => Result | Json<Result>
    : never
}

/** The methods made from handlers. */
export type Methods<Side> = {
  readonly [Method in keyof Side]: Side[Method] extends (sql: Sql, ...args: infer Args) => infer Result
    ? (...args: Args) => Promise<Result extends Json<infer Told> ? Told : Result>
    : never
}

/** All handlers of one worker: port, method. */
export interface Side {
  readonly [port: string]: { readonly [method: string]: Handler }
}
