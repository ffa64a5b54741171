/** What an agent said as parts that each fit the platform's limit and stand alone, in the platform's own markup. */
import type { Body, Capabilities, Rendered } from '#contract'

export function render(body: Body, { max, dialect }: Capabilities['text']): readonly Rendered[] {
  const pieces: string[] = []
  for (let at = 0; at < body.text.length; at += max) pieces.push(body.text.slice(at, at + max))
  return pieces.map((plain) => (dialect === null ? { text: plain } : { text: dialect.text(plain), plain }))
}
