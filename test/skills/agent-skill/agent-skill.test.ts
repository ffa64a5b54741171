import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isAgentSkill, readAgentSkill } from '../../../skills/agent-skill/agent-skill.ts'
import type { AgentSkillResult } from '../../../skills/agent-skill/agent-skill.ts'
import { parseDescriptor } from '../../../skills/descriptor/descriptor.ts'
import { readFrontMatter } from '../../../skills/agent-skill/front-matter.ts'

const filesOf = (texts: { readonly [path: string]: string }): { [path: string]: Uint8Array } =>
  Object.fromEntries(Object.entries(texts).map(([path, text]) => [path, Buffer.from(text)]))
const convert = (head: string, more: { readonly [path: string]: string } = {}, folder?: string): Promise<AgentSkillResult> =>
  readAgentSkill({ files: filesOf({ 'SKILL.md': `---\n${head}\n---\n# How\n`, ...more }), ...(folder === undefined ? {} : { folder }) })
const faults = async (head: string, more = {}, folder?: string): Promise<string> => {
  const result = await convert(head, more, folder)
  assert.ok(!result.ok, `${head} was taken`)
  return result.faults.map(({ detail }) => detail).join('\n')
}

describe('a folder with SKILL.md', () => {
  test('becomes a skill: name, description, version, scripts; the adapter is its entrypoint', async () => {
    const head =
      'name: pdf-forms\ndescription: >-\n  Fills forms.\n  Use it for PDFs.\nlicense: MIT\ncompatibility: "needs python"\nallowed-tools: Bash(python:*) Read\nmetadata:\n  author: a\n  version: "1.2"\n  effect: none'
    const result = await convert(head, { 'scripts/fill.py': '', 'scripts/lib/data.json': '', 'references/a.md': '' }, 'pdf-forms')
    assert.ok(result.ok, JSON.stringify(result))
    const { descriptor, files } = result
    assert.deepEqual(
      [descriptor['id'], descriptor['version'], descriptor['effect'], descriptor['runtime']],
      ['pdf-forms', '1.2.0', 'none', { language: 'python', entrypoint: 'agent_skill.py' }],
    )
    assert.match(
      JSON.stringify(descriptor['description']),
      /^"Fills forms\. Use it for PDFs\. Compatibility: needs python Call it with an empty object first/,
    )
    assert.match(JSON.stringify(descriptor['inputs']), /to run it: scripts\/fill\.py"/)
    assert.match(Buffer.from(files['agent_skill.py'] ?? []).toString(), /def run\(input, ctx\)/)
    assert.equal(Object.keys(files).length, 5)
    const parsed = await parseDescriptor(descriptor)
    assert.ok(parsed.ok, JSON.stringify(parsed))
  })

  test('without scripts has none to run, runs once unless it says otherwise, and is 1.0.0', async () => {
    const result = await convert('name: a\ndescription: b')
    assert.ok(result.ok)
    assert.deepEqual([result.descriptor['version'], result.descriptor['effect']], ['1.0.0', 'once'])
    assert.doesNotMatch(JSON.stringify(result.descriptor['inputs']), /"script"/)
  })

  test('is told from one with a descriptor of its own', () => {
    assert.equal(isAgentSkill(filesOf({ 'SKILL.md': '' })), true)
    assert.equal(isAgentSkill(filesOf({ 'SKILL.md': '', 'skill.json': '' })), false)
    assert.equal(isAgentSkill({}), false)
  })

  const wrong: readonly (readonly [what: string, head: string, said: RegExp])[] = [
    ['no name', 'description: b', /"name" is missing/],
    ['no description', 'name: a', /"description" is missing/],
    ['a name in capitals', 'name: PDF\ndescription: b', /a-z, 0-9/],
    ['a name that begins with a hyphen', 'name: -a\ndescription: b', /a-z, 0-9/],
    ['a name with two hyphens', 'name: a--b\ndescription: b', /a-z, 0-9/],
    ['a name that ends in a hyphen', 'name: a-\ndescription: b', /a-z, 0-9/],
    ['a name that climbs', 'name: ../a\ndescription: b', /a-z, 0-9/],
    ['a long name', `name: ${'a'.repeat(65)}\ndescription: b`, /1 to 64/],
    ['a long description', `name: a\ndescription: ${'b'.repeat(1_025)}`, /1 to 1024/],
    ['an empty description', 'name: a\ndescription: ""', /1 to 1024/],
    ['a description that is a list', 'name: a\ndescription: [b]', /1 to 1024/],
    ['an unknown key', 'name: a\ndescription: b\ncompatability: c', /"compatability" is not known.*"compatibility"/],
    ['the same key twice', 'name: a\nname: b\ndescription: c', /must begin with a head/],
    ['an anchor', 'name: &x a\ndescription: *x', /without anchors/],
    ['a tag', 'name: a\ndescription: !!binary YQ==', /without anchors/],
    ['no YAML', 'name: [', /must begin with a head/],
    ['a head that is a list', '- a', /must begin with a head/],
    ['a bomb', `name: a\ndescription: ${'x'.repeat(20_000)}`, /16 KiB/],
    ['metadata that is deep', 'name: a\ndescription: b\nmetadata:\n  c:\n    d: e', /metadata/],
    ['a version that is none', 'name: a\ndescription: b\nmetadata:\n  version: new', /metadata\.version/],
    ['an effect that is none', 'name: a\ndescription: b\nmetadata:\n  effect: some', /metadata\.effect/],
  ]
  for (const [what, head, said] of wrong) test(`with ${what} is refused`, async () => assert.match(await faults(head), said))

  test('is refused in a folder of another name, with a file in the way, and without a head', async () => {
    assert.match(await faults('name: a\ndescription: b', {}, 'c'), /must be the same/)
    assert.match(await faults('name: a\ndescription: b', { 'agent_skill.py': '' }), /in the way/)
    for (const text of ['', '# no head', '---\nname: a', 'x\n---\nname: a\n---\n', '----\nname: a\n---']) {
      const result = await readAgentSkill({ files: filesOf({ 'SKILL.md': text }) })
      assert.equal(result.ok, false, text)
    }
    assert.equal((await readAgentSkill({ files: { 'SKILL.md': Buffer.from([0xff]) } })).ok, false)
  })
})

test('the body is what stands behind the head, lines of hyphens in it included', async () => {
  const read = await readFrontMatter('\uFEFF---\r\nname: a\r\ndescription: b\r\n---\r\n\r\n# How\n\n---\n\nmore\n')
  assert.ok(read.ok)
  assert.equal(read.head.body, '# How\n\n---\n\nmore')
})
