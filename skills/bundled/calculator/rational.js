/** Numbers as fractions `{ top, bottom }` of BigInts, in lowest terms, or as `{ float }` where no fraction says them. */

/** Digits of numerator and denominator: beyond it nobody waits for an exact answer. */
const MAX_BITS = 40_000
const MAX_EXPONENT = 10_000

export function fromText(text) {
  const match = /^\s*([+-]?)(\d*)\.?(\d*)(?:[eE]([+-]?\d+))?\s*$/.exec(text)
  if (match === null || match[2] + match[3] === '') throw new Error(`"${text.slice(0, 40)}" is no number`)
  const exponent = Number(match[4] ?? 0) - match[3].length
  if (Math.abs(exponent) > MAX_EXPONENT) throw new Error('the exponent is too large')
  const top = BigInt(match[2] + match[3]) * (match[1] === '-' ? -1n : 1n)
  return exponent < 0 ? fraction(top, 10n ** BigInt(-exponent)) : fraction(top * 10n ** BigInt(exponent), 1n)
}

export function number(float) {
  if (!Number.isFinite(float)) throw new Error(Number.isNaN(float) ? 'it is not defined there' : 'the result is too large')
  return { float }
}

export const add = (a, b) =>
  both(
    a,
    b,
    (x, y) => x + y,
    () => fraction(a.top * b.bottom + b.top * a.bottom, a.bottom * b.bottom),
  )
export const multiply = (a, b) =>
  both(
    a,
    b,
    (x, y) => x * y,
    () => fraction(a.top * b.top, a.bottom * b.bottom),
  )
export const negate = (a) => (a.float === undefined ? { top: -a.top, bottom: a.bottom } : { float: -a.float })
export const abs = (a) => (isNegative(a) ? negate(a) : a)

export function divide(a, b) {
  if (b.float === 0 || b.top === 0n) throw new Error('division by zero')
  return both(
    a,
    b,
    (x, y) => x / y,
    () => fraction(a.top * b.bottom, a.bottom * b.top),
  )
}

/** With the sign of the divisor, as in mathematics. */
export function modulo(a, b) {
  return add(a, negate(multiply(b, floor(divide(a, b)))))
}

export function floor(a) {
  if (a.float !== undefined) return fromText(BigInt(Math.floor(a.float)).toString())
  const down = a.top / a.bottom
  return { top: a.top < 0n && down * a.bottom !== a.top ? down - 1n : down, bottom: 1n }
}

export function power(a, b) {
  const exponent = integer(b)
  if (a.float !== undefined || exponent === null) {
    if (isNegative(a) && exponent === null) throw new Error('there is no such power of a negative number')
    return number(toNumber(a) ** toNumber(b))
  }
  const times = exponent < 0n ? -exponent : exponent
  if (times > BigInt(MAX_EXPONENT) && bits(a) > 1) throw new Error('the exponent is too large')
  if (bits(a) * Number(times) > MAX_BITS) throw new Error('the result is too large')
  if (exponent < 0n && a.top === 0n) throw new Error('division by zero')
  const [top, bottom] = exponent < 0n ? [a.bottom, a.top] : [a.top, a.bottom]
  return fraction(top ** times, bottom ** times)
}

/** Half away from zero. */
export function rounded(a, places) {
  if (Math.abs(places) > 1000) throw new Error('that many digits are too many')
  const value = exactly(a)
  const scale = 10n ** BigInt(Math.abs(places))
  const [top, bottom] = places >= 0 ? [value.top * scale, value.bottom] : [value.top, value.bottom * scale]
  const units = half(top, bottom)
  return places >= 0 ? fraction(units, scale) : fraction(units * scale, 1n)
}

export function compare(a, b) {
  const difference = add(a, negate(b))
  if (difference.float !== undefined) return Math.sign(difference.float)
  return difference.top > 0n ? 1 : difference.top < 0n ? -1 : 0
}

/** null: it is none. */
export function integer(a) {
  if (a.float === undefined) return a.bottom === 1n ? a.top : null
  return Number.isSafeInteger(a.float) ? BigInt(a.float) : null
}

export function toNumber(a) {
  if (a.float !== undefined) return a.float
  const direct = Number(a.top) / Number(a.bottom)
  return number(Number.isFinite(direct) ? direct : Number(decimal(a, 20).result)).float
}

/** As a decimal number of so many digits after the point. A float has 15 digits that mean something. */
export function decimal(a, digits) {
  if (a.float !== undefined) {
    const shown = fromText(a.float.toPrecision(15))
    return { result: decimal(shown, digits).result, exact: false }
  }
  const scale = 10n ** BigInt(digits)
  const units = half(a.top * scale, a.bottom)
  const [sign, size] = units < 0n ? ['-', -units] : ['', units]
  const rest = (size % scale).toString().padStart(digits, '0').replace(/0+$/, '')
  return { result: `${sign}${size / scale}${rest === '' ? '' : `.${rest}`}`, exact: (a.top * scale) % a.bottom === 0n }
}

export function gcd(a, b) {
  let [x, y] = [a < 0n ? -a : a, b < 0n ? -b : b]
  while (y !== 0n) [x, y] = [y, x % y]
  return x
}

function fraction(top, bottom) {
  const by = gcd(top, bottom) * (bottom < 0n ? -1n : 1n)
  const value = { top: top / by, bottom: bottom / by }
  if (bits(value) > MAX_BITS) throw new Error('the result is too large')
  return value
}

/** Rounded half away from zero. */
function half(top, bottom) {
  const twice = 2n * (top < 0n ? -top : top) + bottom
  const units = twice / (2n * bottom)
  return top < 0n ? -units : units
}

const both = (a, b, floats, fractions) =>
  a.float === undefined && b.float === undefined ? fractions() : number(floats(toNumber(a), toNumber(b)))
const exactly = (a) => (a.float === undefined ? a : fromText(a.float.toPrecision(15)))
const isNegative = (a) => (a.float === undefined ? a.top < 0n : a.float < 0)
const bits = ({ top, bottom }) => Math.max(length(top), length(bottom))
const length = (value) => (value < 0n ? -value : value).toString(16).length * 4 - 3
