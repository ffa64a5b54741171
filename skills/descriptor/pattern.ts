/**
 * Regular expressions of strangers, in time that grows with the text and not faster: the pattern becomes a nondeterministic automaton
 * and all its states are walked at once, so that nothing is ever tried again (Thompson). What only trying again can do
 * (backreferences, looking ahead or behind) is refused. Single characters are judged by the engine of the language itself.
 */

/** Of a pattern, and of the automaton made of it: `a{1000}` is a thousand states. */
const MAX_PATTERN = 1_000
const MAX_STATES = 2_000

const FULL = 20_000_000

/** How many states may still be looked at; shared by all texts of one question, so that many are no way around it. About half a second. */
export class Budget {
  left: number = FULL

  refill(): void {
    this.left = FULL
  }
}

type Judge = (point: number) => boolean
/** An anchor: whether it holds between two characters; -1: there is none. */
type Anchor = (before: number, after: number) => boolean

type State =
  | { readonly is: 'take'; readonly judge: Judge; next: number }
  | { readonly is: 'fork'; next: number; other: number }
  | { readonly is: 'hold'; readonly holds: Anchor; next: number }
  | { readonly is: 'end' }

/** Where a piece begins, and who has to be told where it goes on. */
interface Piece {
  readonly start: number
  readonly ends: readonly ((target: number) => void)[]
}

export class LinearPattern {
  readonly source: string
  readonly #states: readonly State[]
  readonly #start: number

  /** @throws Error in words when the pattern is none, or needs what cannot be had in linear time */
  constructor(source: string) {
    if (source.length > MAX_PATTERN) throw new Error(`it has more than ${MAX_PATTERN} characters`)
    judged(() => new RegExp(source, 'u'))
    this.source = source
    const builder = new Builder(source)
    const piece = builder.alternatives()
    const end = builder.add({ is: 'end' })
    for (const tell of piece.ends) tell(end)
    this.#states = builder.states
    this.#start = piece.start
  }

  /** How large the automaton is: what it costs to make, and to begin a text. */
  get size(): number {
    return this.#states.length
  }

  /** Whether it matches anywhere in the text. @throws Error when the budget is used up */
  test(text: string, budget: Budget): boolean {
    // To begin costs too, or many empty texts would be free.
    spend(budget, 1 + (this.#states.length >> 2))
    const seen = new Int32Array(this.#states.length).fill(-1)
    let now: number[] = []
    let before = -1
    let at = 0
    for (let turn = 0; ; turn++) {
      const point = text.codePointAt(at) ?? -1
      // A match may begin at every place.
      now.push(this.#start)
      const next: number[] = []
      // `now` grows while it is walked: forks and anchors lead on without taking a character.
      for (let i = 0; i < now.length; i++) {
        const number = now[i] ?? 0
        if (seen[number] === turn) continue
        seen[number] = turn
        const state = this.#states[number]
        if (state === undefined) continue
        if (state.is === 'end') return true
        if (state.is === 'take') {
          if (point >= 0 && state.judge(point)) next.push(state.next)
        } else if (state.is === 'fork') now.push(state.next, state.other)
        else if (state.holds(before, point)) now.push(state.next)
      }
      if (point < 0) return false
      spend(budget, now.length)
      at += point > 0xffff ? 2 : 1
      before = point
      now = next
    }
  }
}

/** Reads a pattern that is known to be well-formed with the flag `u`. */
class Builder {
  readonly states: State[] = []
  readonly #source: string
  /** What is repeated a thousand times is judged by one. */
  readonly #judges = new Map<string, Judge>()
  #at = 0

  constructor(source: string) {
    this.#source = source
  }

  add(state: State): number {
    if (this.states.length >= MAX_STATES) throw new Error('it repeats too much')
    return this.states.push(state) - 1
  }

  alternatives(): Piece {
    let piece = this.#sequence()
    while (this.#take('|')) {
      const other = this.#sequence()
      piece = { start: this.add({ is: 'fork', next: piece.start, other: other.start }), ends: [...piece.ends, ...other.ends] }
    }
    return piece
  }

  #sequence(): Piece {
    let piece = this.#empty()
    while (this.#at < this.#source.length && this.#source[this.#at] !== '|' && this.#source[this.#at] !== ')') {
      piece = joined(piece, this.#repeated())
    }
    return piece
  }

  #repeated(): Piece {
    const from = this.#at
    let piece = this.#atom()
    const to = this.#at
    const count = this.#quantifier()
    if (count === null) return piece
    const after = this.#at
    // Each repetition is read anew from the same place.
    const again = (): Piece => {
      this.#at = from
      const copy = this.#atom()
      this.#at = to
      return copy
    }
    const [least, most] = count
    let all = this.#empty()
    for (let i = 0; i < least; i++) {
      all = joined(all, piece)
      piece = again()
    }
    if (most === Infinity) all = joined(all, this.#star(piece))
    else {
      for (let i = least; i < most; i++) {
        all = joined(all, this.#perhaps(piece))
        if (i + 1 < most) piece = again()
      }
    }
    this.#at = after
    return all
  }

  #quantifier(): readonly [least: number, most: number] | null {
    const found = /^(?:\*|\+|\?|\{(\d+)(?:(,)(\d*))?\})\??/.exec(this.#source.slice(this.#at, this.#at + 64))
    if (found === null) return null
    this.#at += found[0].length
    if (found[0].startsWith('*')) return [0, Infinity]
    if (found[0].startsWith('+')) return [1, Infinity]
    if (found[0].startsWith('?')) return [0, 1]
    const least = Number(found[1])
    const most = found[2] === undefined ? least : found[3] === '' ? Infinity : Number(found[3])
    if (least > MAX_STATES || (most !== Infinity && most > MAX_STATES)) throw new Error('it repeats too much')
    return [least, most]
  }

  #atom(): Piece {
    const rest = this.#source.slice(this.#at, this.#at + 3)
    if (rest.startsWith('(')) return this.#group()
    if (rest.startsWith('^')) return this.#anchor(1, (before) => before < 0)
    if (rest.startsWith('$')) return this.#anchor(1, (_before, after) => after < 0)
    if (rest.startsWith('\\b')) return this.#anchor(2, (before, after) => isWord(before) !== isWord(after))
    if (rest.startsWith('\\B')) return this.#anchor(2, (before, after) => isWord(before) === isWord(after))
    if (/^\\(?:[1-9]|k)/.test(rest)) throw new Error('it refers back to what it found before, which cannot be done in bounded time')
    const source = this.#character()
    const judge = this.#judges.get(source) ?? judgeOf(source)
    this.#judges.set(source, judge)
    const state: State = { is: 'take', judge, next: -1 }
    return { start: this.add(state), ends: [(target) => void (state.next = target)] }
  }

  #group(): Piece {
    const opening = /^\((?:\?:|\?<[^=!][^>]*>)?/.exec(this.#source.slice(this.#at))?.[0] ?? '('
    this.#at += opening.length
    if (this.#source[this.#at] === '?') throw new Error('it looks ahead or behind or changes its flags, which is not supported')
    const piece = this.alternatives()
    this.#at++
    return piece
  }

  #anchor(length: number, holds: Anchor): Piece {
    this.#at += length
    const state: State = { is: 'hold', holds, next: -1 }
    return { start: this.add(state), ends: [(target) => void (state.next = target)] }
  }

  /** The source of one character, escape or class. */
  #character(): string {
    const rest = this.#source.slice(this.#at)
    const found =
      /^(?:\[(?:\\.|[^\]\\])*\]|\\(?:u\{[^}]*\}|u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[\da-fA-F]{4}|x[\da-fA-F]{2}|c[a-zA-Z]|[pP]\{[^}]*\}|.)|.)/su.exec(
        rest,
      )
    const source = found?.[0] ?? ''
    this.#at += source.length
    return source
  }

  #empty(): Piece {
    const state: State = { is: 'hold', holds: () => true, next: -1 }
    return { start: this.add(state), ends: [(target) => void (state.next = target)] }
  }

  #star(piece: Piece): Piece {
    const state: State = { is: 'fork', next: piece.start, other: -1 }
    const start = this.add(state)
    for (const tell of piece.ends) tell(start)
    return { start, ends: [(target) => void (state.other = target)] }
  }

  #perhaps(piece: Piece): Piece {
    const state: State = { is: 'fork', next: piece.start, other: -1 }
    return { start: this.add(state), ends: [...piece.ends, (target) => void (state.other = target)] }
  }

  #take(character: string): boolean {
    if (this.#source[this.#at] !== character) return false
    this.#at++
    return true
  }
}

function spend(budget: Budget, steps: number): void {
  budget.left -= steps
  if (budget.left < 0) throw new Error('there is too much text for the patterns of this schema')
}

function joined(first: Piece, second: Piece): Piece {
  for (const tell of first.ends) tell(second.start)
  return { start: first.start, ends: second.ends }
}

const isWord = (point: number): boolean => point >= 0 && point < 128 && /\w/.test(String.fromCharCode(point))

/** One character at a time, so nothing can be slow; those of ASCII are looked up. */
function judgeOf(source: string): Judge {
  const expression = judged(() => new RegExp(`^${source}$`, 'u'))
  const ascii = Uint8Array.from({ length: 128 }, (_, point) => Number(expression.test(String.fromCharCode(point))))
  return (point) => (point < 128 ? ascii[point] === 1 : expression.test(String.fromCodePoint(point)))
}

function judged(make: () => RegExp): RegExp {
  try {
    return make()
  } catch (error) {
    throw new Error('it is no regular expression (ECMA-262 with the flag u)', { cause: error })
  }
}
