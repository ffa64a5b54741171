/** Computes an expression. A number is a fraction of two BigInts as long as that can be, and a float after that. */
import { parse } from './expression.js'
import {
  abs,
  add,
  compare,
  decimal,
  divide,
  floor,
  fromText,
  gcd,
  integer,
  modulo,
  multiply,
  negate,
  number,
  power,
  rounded,
  toNumber,
} from './rational.js'

const DEFAULT_DIGITS = 20

export function run({ expression, variables = {}, digits = DEFAULT_DIGITS }) {
  const names = new Map(Object.entries(variables).map(([name, value]) => [name, fromText(String(value))]))
  const value = evaluate(parse(expression), names)
  return decimal(value, digits)
}

function evaluate(node, names) {
  switch (node.is) {
    case 'number':
      return fromText(node.text)
    case 'name': {
      const value = names.get(node.name) ?? CONSTANTS[node.name]
      if (value === undefined) throw new Error(`there is no "${node.name}": give it in variables`)
      return value
    }
    case 'negate':
      return negate(evaluate(node.of, names))
    case 'factorial':
      return factorial(evaluate(node.of, names))
    case 'call': {
      const func = Object.hasOwn(FUNCTIONS, node.name) ? FUNCTIONS[node.name] : undefined
      if (func === undefined) throw new Error(`there is no function "${node.name}"`)
      const given = node.given.map((each) => evaluate(each, names))
      const [least, most] = func.takes
      if (given.length < least || given.length > most)
        throw new Error(`${node.name} takes ${least === most ? least : `${least} to ${most}`} values`)
      return func.run(...given)
    }
    default:
      return OPERATIONS[node.is](evaluate(node.left, names), evaluate(node.right, names))
  }
}

const OPERATIONS = { '+': add, '-': (a, b) => add(a, negate(b)), '*': multiply, '/': divide, '%': modulo, '^': power }

function factorial(value) {
  const n = integer(value)
  if (n === null || n < 0n || n > 1000n) throw new Error('! is for whole numbers from 0 to 1000')
  let product = 1n
  for (let factor = 2n; factor <= n; factor++) product *= factor
  return { top: product, bottom: 1n }
}

const float = (run) => ({ takes: [1, 1], run: (a) => number(run(toNumber(a))) })
const exact = (run) => ({ takes: [1, 1], run })
const fold = (run) => ({ takes: [1, 1000], run: (...given) => given.reduce(run) })

const FUNCTIONS = {
  abs: exact(abs),
  floor: exact(floor),
  ceil: exact((a) => negate(floor(negate(a)))),
  trunc: exact((a) => (compare(a, ZERO) < 0 ? negate(floor(negate(a))) : floor(a))),
  sign: exact((a) => fromText(String(compare(a, ZERO)))),
  round: { takes: [1, 2], run: (a, places = ZERO) => rounded(a, Number(integer(places) ?? fail('round takes a whole number of digits'))) },
  sqrt: exact(root),
  cbrt: float(Math.cbrt),
  exp: float(Math.exp),
  ln: float(Math.log),
  log: {
    takes: [1, 2],
    run: (a, base) => number(base === undefined ? Math.log10(toNumber(a)) : Math.log(toNumber(a)) / Math.log(toNumber(base))),
  },
  log10: float(Math.log10),
  log2: float(Math.log2),
  sin: float(Math.sin),
  cos: float(Math.cos),
  tan: float(Math.tan),
  asin: float(Math.asin),
  acos: float(Math.acos),
  atan: float(Math.atan),
  min: fold((a, b) => (compare(a, b) <= 0 ? a : b)),
  max: fold((a, b) => (compare(a, b) >= 0 ? a : b)),
  sum: fold(add),
  avg: { takes: [1, 1000], run: (...given) => divide(given.reduce(add), fromText(String(given.length))) },
  gcd: fold((a, b) => ({ top: gcd(whole(a), whole(b)), bottom: 1n })),
  lcm: fold((a, b) => ({ top: whole(a) === 0n || whole(b) === 0n ? 0n : (whole(a) * whole(b)) / gcd(whole(a), whole(b)), bottom: 1n })),
}

/** Of a square it is exact. */
function root(value) {
  if (compare(value, ZERO) < 0) throw new Error('there is no root of a negative number')
  if (value.float === undefined) {
    const [top, bottom] = [isqrt(value.top), isqrt(value.bottom)]
    if (top * top === value.top && bottom * bottom === value.bottom) return { top, bottom }
  }
  return number(Math.sqrt(toNumber(value)))
}

function isqrt(value) {
  if (value < 2n) return value
  let guess = 1n << BigInt((value.toString(2).length + 1) >> 1)
  for (;;) {
    const next = (guess + value / guess) >> 1n
    if (next >= guess) return guess
    guess = next
  }
}

function whole(value) {
  const n = integer(value) ?? fail('gcd and lcm are for whole numbers')
  return n < 0n ? -n : n
}

function fail(message) {
  throw new Error(message)
}

const ZERO = { top: 0n, bottom: 1n }
const CONSTANTS = { __proto__: null, pi: number(Math.PI), e: number(Math.E), tau: number(2 * Math.PI) }
