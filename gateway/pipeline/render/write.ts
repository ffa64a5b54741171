/** Leaves in a dialect, and in words for whoever refuses its markup. What fits where is `pack.ts`. */
import type { Dialect, Rendered } from '#contract'
import type { Leaf, Run } from './leaf.ts'

export type Write = (leaves: readonly Leaf[]) => Rendered

/** The words as they are. */
export const writeWords: Write = (leaves) => ({ text: joined(leaves, (leaf) => leaf.runs.map(({ text }) => text).join('')) })

export function writer(dialect: Dialect): Write {
  return (leaves) => ({ text: written(leaves, 0, dialect), plain: joined(leaves, plain) })
}

function joined(leaves: readonly Leaf[], write: (leaf: Leaf) => string): string {
  return leaves.map((leaf, at) => (at === 0 ? '' : leaf.gap) + write(leaf)).join('')
}

/** Leaves within the same quote are written in one. */
function written(leaves: readonly Leaf[], depth: number, dialect: Dialect): string {
  return groups(leaves, ({ quotes }) => quotes[depth])
    .map(({ shared, members }, at) => {
      const gap = at === 0 ? '' : (members[0]?.gap ?? '')
      return (
        gap + (shared === undefined ? joined(members, (leaf) => block(leaf, dialect)) : dialect.quote(written(members, depth + 1, dialect)))
      )
    })
    .join('')
}

function block(leaf: Leaf, dialect: Dialect): string {
  const { form, marker } = leaf
  switch (form.is) {
    case 'fence':
      // Indented, it would be other code.
      return dialect.fence(leaf.runs.map(({ text }) => text).join(''), form.language)
    case 'heading':
    case 'text': {
      const words = inline(leaf.runs, 0, dialect)
      const inner = form.is === 'heading' && words !== '' ? dialect.heading(words, form.level) : words
      return indented(marker === null ? inner : dialect.item(inner, marker).trimEnd(), leaf)
    }
  }
}

function inline(runs: readonly Run[], depth: number, dialect: Dialect): string {
  return groups(runs, ({ marks }) => marks[depth])
    .map(({ shared, members }) => {
      if (shared === undefined) return members.map(({ isCode, text }) => (isCode ? dialect.code(text) : dialect.text(text))).join('')
      const inner = inline(members, depth + 1, dialect)
      if (members.every(({ text }) => text.trim() === '')) return inner
      return shared.kind === 'link' ? dialect.link(inner, shared.url) : dialect[shared.kind](inner)
    })
    .join('')
}

function plain(leaf: Leaf): string {
  const { runs, marker, form } = leaf
  const words = runs.map(({ text, after }) => text + after).join('')
  if (form.is === 'fence') return words
  return indented(marker === null ? words : `${marker} ${words}`.trimEnd(), leaf)
}

/** What goes on with an item stands under its words. */
function indented(text: string, { indent, marker }: Leaf): string {
  const below = marker === null ? indent : `${indent}  `
  return indent + (below === '' ? text : text.replaceAll(/\n(?!\n|$)/g, `\n${below}`))
}

interface Group<Member, Shared> {
  readonly shared: Shared | undefined
  readonly members: Member[]
}

/** Neighbours that share the same object, each time they do. */
function groups<Member, Shared>(
  members: readonly Member[],
  sharedBy: (member: Member) => Shared | undefined,
): readonly Group<Member, Shared>[] {
  const found: Group<Member, Shared>[] = []
  for (const member of members) {
    const shared = sharedBy(member)
    const last = found.at(-1)
    if (last !== undefined && last.shared === shared) last.members.push(member)
    else found.push({ shared, members: [member] })
  }
  return found
}
