/**
 * Latencies in buckets that grow with the value (64 to each doubling, so at most 1.6 % off), in the manner of
 * HdrHistogram: constant memory, no cost to speak of at a hundred thousand a second. The largest value is kept exactly.
 */
const PER_OCTAVE = 64
const OCTAVES = 32

export class Histogram {
  readonly #buckets = new Uint32Array(PER_OCTAVE * OCTAVES)
  #count = 0
  #max = 0

  get count(): number {
    return this.#count
  }

  get max(): number {
    return this.#max
  }

  /** @param value whole, not negative; the unit is the caller's */
  record(value: number): void {
    this.#count++
    if (value > this.#max) this.#max = value
    const at = bucketOf(value)
    this.#buckets[at] = (this.#buckets[at] ?? 0) + 1
  }

  /** The value that the share `q` (0..1) does not exceed; 0 when nothing was recorded. */
  quantile(q: number): number {
    let left = Math.ceil(q * this.#count)
    for (let at = 0; at < this.#buckets.length; at++) {
      left -= this.#buckets[at] ?? 0
      if (left <= 0) return Math.min(upperBound(at), this.#max)
    }
    return this.#max
  }
}

/** Values below 64 have a bucket each; above, the octave's 64 equal parts. */
function bucketOf(value: number): number {
  const whole = Math.floor(value)
  if (whole < PER_OCTAVE) return whole
  const shift = Math.floor(Math.log2(whole)) - Math.log2(PER_OCTAVE)
  return Math.min(PER_OCTAVE * shift + Math.floor(whole / 2 ** shift), PER_OCTAVE * OCTAVES - 1)
}

function upperBound(at: number): number {
  if (at < 2 * PER_OCTAVE) return at
  const shift = Math.floor(at / PER_OCTAVE) - 1
  return (at - PER_OCTAVE * shift + 1) * 2 ** shift - 1
}
