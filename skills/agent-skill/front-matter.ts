/** The head of a `SKILL.md` (agentskills.io): YAML between two lines of `---`, of which only text is taken, and the body behind it. */
import { nearest } from '#contract'
import type { Fault } from '#contract'

export interface FrontMatter {
  readonly name: string
  readonly description: string
  readonly compatibility: string | null
  readonly metadata: { readonly [key: string]: string }
  /** Markdown: what an agent reads. */
  readonly body: string
}

export type FrontMatterResult =
  | { readonly ok: true; readonly head: FrontMatter }
  | { readonly ok: false; readonly faults: readonly Fault[] }

const MAX_HEAD_CHARS = 16_384
const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/
const MAX_NAME_CHARS = 64
const MAX_DESCRIPTION_CHARS = 1_024
const MAX_COMPATIBILITY_CHARS = 500
const MAX_METADATA = 64
const MEMBERS = ['name', 'description', 'license', 'compatibility', 'metadata', 'allowed-tools']

export async function readFrontMatter(text: string): Promise<FrontMatterResult> {
  const faults: Fault[] = []
  const fault = (member: string, detail: string): void =>
    void faults.push({ pointer: `#/SKILL.md/${member}`, detail: `SKILL.md: ${detail}` })
  const [, head, body = ''] = /^\uFEFF?---[ \t]*\r?\n([\s\S]*?)^---[ \t]*(?:\r?\n([\s\S]*))?$/m.exec(text) ?? []
  const members = head === undefined || head.length > MAX_HEAD_CHARS ? null : await parseHead(head)
  if (members === null) {
    fault('', 'it must begin with a head in YAML between two lines of "---", of at most 16 KiB, without anchors and tags.')
    return { ok: false, faults }
  }
  for (const member of Object.keys(members)) {
    if (MEMBERS.includes(member)) continue
    const meant = nearest(member, MEMBERS)
    fault(
      member,
      `"${member.slice(0, 60)}" is not known; ${meant === null ? `there are ${MEMBERS.join(', ')}` : `"${meant}" is meant, perhaps`}.`,
    )
  }
  const short = (member: string, maxChars: number): string | null => {
    const value = members[member]
    if (value === undefined) return null
    if (typeof value !== 'string' || value.trim() === '' || value.trim().length > maxChars) {
      fault(member, `"${member}" must be text of 1 to ${maxChars} characters.`)
      return null
    }
    return value.trim()
  }
  const name = short('name', MAX_NAME_CHARS)
  if (name === null && members['name'] === undefined) fault('name', '"name" is missing.')
  if (name !== null && !NAME.test(name)) fault('name', '"name" may have a-z, 0-9 and single hyphens between them.')
  const description = short('description', MAX_DESCRIPTION_CHARS)
  if (description === null && members['description'] === undefined) fault('description', '"description" is missing.')
  short('license', MAX_DESCRIPTION_CHARS)
  const compatibility = short('compatibility', MAX_COMPATIBILITY_CHARS)
  const metadata = textsOf(members['metadata'])
  if (metadata === null) fault('metadata', `"metadata" must be at most ${MAX_METADATA} keys with texts.`)
  if (name === null || description === null || metadata === null || faults.length > 0) return { ok: false, faults }
  return { ok: true, head: { name, description, compatibility, metadata, body: body.trim() } }
}

/** Every scalar is text; null: it is no mapping, or has what could be abused. */
async function parseHead(head: string): Promise<{ readonly [member: string]: unknown } | null> {
  const { parseDocument, visit } = await import('yaml')
  const document = parseDocument(head, { schema: 'failsafe', uniqueKeys: true, strict: true, prettyErrors: false })
  if (document.errors.length > 0 || document.warnings.length > 0) return null
  let isPlain = true
  visit(document, {
    Alias: () => void (isPlain = false),
    Node: (_key, node) => void (isPlain &&= node.tag === undefined && !('anchor' in node && node.anchor !== undefined)),
  })
  if (!isPlain) return null
  const value: unknown = document.toJS({ maxAliasCount: 0 })
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null
}

function textsOf(value: unknown): { readonly [key: string]: string } | null {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  const entries = Object.entries(value)
  const texts: [string, string][] = []
  for (const [key, text] of entries) {
    if (typeof text !== 'string' || text.length > MAX_DESCRIPTION_CHARS) return null
    texts.push([key, text])
  }
  return texts.length <= MAX_METADATA ? Object.fromEntries(texts) : null
}
