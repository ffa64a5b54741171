/**
 * What an agent said as parts that each fit the platform's limit and stand alone, in the platform's own markup: read into
 * leaves (`render/parse.ts`), packed and cut (`render/pack.ts`), written (`render/write.ts`). Pure.
 */
import type { Body, Capabilities, Rendered } from '#contract'
import { textLeaf, textRun } from './render/leaf.ts'
import type { Leaf } from './render/leaf.ts'
import { pack } from './render/pack.ts'
import { writeWords, writer } from './render/write.ts'

export type Parse = (text: string) => readonly Leaf[]

/** The Markdown parser costs memory and start-up time, so only who has a dialect loads it. */
export async function loadParse(): Promise<Parse> {
  const { parse } = await import('./render/parse.ts')
  return parse
}

export const parseWords: Parse = (text) => [textLeaf([textRun(text)])]

export function render(body: Body, { max, unit, dialect }: Capabilities['text'], parse: Parse): readonly Rendered[] {
  const { text } = body
  if (text === '') return []
  if (dialect !== null) return pack(parse(acceptable(text)), { max, unit }, writer(dialect))
  const size = unit === 'bytes' ? Buffer.byteLength(text) : text.length
  return size <= max ? [{ text }] : pack(parseWords(text), { max, unit }, writeWords)
}

/** Platforms refuse control characters and halves of surrogate pairs. */
function acceptable(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/\r\n?/g, '\n')
    .replaceAll(/(?![\t\n])\p{Cc}/gu, '')
}
