/** Markdown as it might be written, different with each seed. Every word in it is numbered, so that none can be missed or moved. */
import { seededRandom } from './random.ts'

export function markdown(seed: number, blocks: number): { readonly text: string; readonly words: readonly string[] } {
  const random = seededRandom(seed)
  const words: string[] = []
  const below = (count: number): number => Math.floor(random() * count)
  const pick = <Choice>(choices: readonly Choice[]): Choice => {
    const choice = choices[below(choices.length)]
    if (choice === undefined) throw new Error('There is nothing to choose from.')
    return choice
  }
  const times = (count: number, make: (index: number) => string): string[] => Array.from({ length: count }, (_, index) => make(index))
  const word = (): string => {
    const made = `${pick(['word', 'x', 'é', '语', '🙂', '👩‍👩‍👧‍👦', 'a&b', 'Straße'])}${words.length};`
    words.push(made)
    return made
  }
  // A mark within its like reads as something else: two tildes beside two begin a fence.
  const inline = (open: readonly string[]): string => {
    const inside = (kind: string): string => times(1 + below(4), () => inline([...open, kind])).join(' ')
    const kind = pick(['', '', '', '', '', '', '`', '**', '_', '~~', '['])
    if (open.includes(kind) || (kind === '~~' && open.length > 0)) return word()
    if (kind === '`') return `\`${word()}\``
    if (kind === '[') return open.length > 0 ? word() : `[${inside('[')}](http://link.test/${below(99)})`
    return kind === '' ? word() : `${kind}${inside(kind)}${kind}`
  }
  const sentence = (): string => `${times(1 + below(12), () => inline([])).join(' ')}.`
  const indented = (text: string, by: string): string => text.replaceAll(/^(?=.)/gm, by)
  const block = (depth: number): string => {
    const kind = depth > 3 ? 0 : below(9)
    if (kind === 1) return `${'#'.repeat(1 + below(6))} ${sentence()}`
    if (kind === 2) return `\`\`\`${pick(['', 'ts'])}\n${times(1 + below(9), () => pick(['', '  ']) + word()).join('\n')}\n\`\`\``
    if (kind === 3)
      return times(1 + below(3), () => block(depth + 1))
        .join('\n\n')
        .replaceAll(/^/gm, '> ')
    if (kind === 4) return times(1 + below(4), () => `- ${indented(item(depth), '  ').trimStart()}`).join('\n')
    if (kind === 5) return times(1 + below(4), (index) => `${index + 3}. ${indented(item(depth), '   ').trimStart()}`).join('\n')
    if (kind === 6)
      return [`| ${word()} | ${word()} |`, '|---|--:|', ...times(1 + below(4), () => `| ${word()} | ${inline(['['])} |`)].join('\n')
    return times(1 + below(4), sentence).join(pick([' ', '\n', '  \n']))
  }
  const item = (depth: number): string => [sentence(), ...times(below(2), () => block(depth + 1))].join('\n\n')
  return { text: times(blocks, () => block(0)).join('\n\n'), words }
}
