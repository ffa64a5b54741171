/**
 * How a platform writes what CommonMark says. A channel declares its dialect, the hub parses, cuts and writes: so no part ever
 * ends inside a mark. All functions are pure. `plain` arguments are words as they are, to be escaped; `inner` arguments
 * are written already.
 */
export interface Dialect {
  /** Words without markup, so escaped that they arrive literally. Concatenation of two is the writing of both together. */
  text(plain: string): string
  strong(inner: string): string
  emphasis(inner: string): string
  strike(inner: string): string
  code(plain: string): string
  /** A block of code, without a line break at its end. */
  fence(plain: string, language: string | null): string
  link(inner: string, url: string): string
  heading(inner: string, level: number): string
  /** One or several lines. */
  quote(inner: string): string
  /** `marker` is `•` or a number with its point; nested items come indented. */
  item(inner: string, marker: string): string
}
