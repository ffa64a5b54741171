/** The code of the bundled skills for Node and Python, in a plain process: what they answer. That they are held is tested with the sandboxes. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isJsonObject, textOf } from '#contract'
import type { JsonObject, JsonValue } from '#contract'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { bundled } from '../../../skills/bundled/bundled.ts'

const NODE = `const [path] = process.argv.slice(1)
const { run } = await import(path)
const chunks = []
for await (const chunk of process.stdin) chunks.push(chunk)
const output = await run(JSON.parse(Buffer.concat(chunks)), {}).then((output) => ({ output }), (error) => ({ error: String(error) }))
process.stdout.write(JSON.stringify(output))`
const PYTHON = `import json, sys
sys.path.insert(0, sys.argv[1])
import enrich_profile
class Ctx:
    def call(self, skill, input):
        print(skill, file=sys.stderr)
        at = input["email"]
        return {"valid": " " not in at, "normalized": at.lower(), "reason": "a space"}
    def log(self, text):
        print(text, file=sys.stderr)
print(json.dumps({"output": enrich_profile.run(json.load(sys.stdin), Ctx())}))`

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'openclaw-bundled-'))
  for (const skill of bundled) {
    for (const [path, bytes] of Object.entries((await skill.load()).files)) {
      const place = join(folder, skill.id, path)
      await mkdir(dirname(place), { recursive: true })
      await writeFile(place, bytes)
    }
  }
})
after(() => rm(folder, { recursive: true, force: true }))

function child(
  program: string,
  args: readonly string[],
  input: JsonValue,
): Promise<{ readonly output?: JsonValue; readonly error?: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ readonly output?: JsonValue; readonly error?: string }>()
  const running = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: 30_000, env: { PATH: '/usr/bin:/bin' } })
  const said = { out: '', error: '' }
  running.on('error', reject)
  running.stdin.on('error', () => {})
  running.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()))
  running.stderr.on('data', (chunk: Buffer) => (said.error += chunk.toString()))
  running.on('close', () => (said.out === '' ? reject(new Error(said.error)) : resolve(JSON.parse(said.out))))
  running.stdin.end(JSON.stringify(input))
  return promise
}

async function inNode(id: string, entrypoint: string, input: JsonObject): Promise<JsonObject> {
  const told = await child(process.execPath, ['--input-type=module', '-e', NODE, join(folder, id, entrypoint)], input)
  if (told.error !== undefined) return { error: told.error }
  const descriptor = await bundled.find((skill) => skill.id === id)?.load()
  const outputs = isJsonObject(descriptor?.descriptor) ? descriptor.descriptor['outputs'] : undefined
  const ajv = new Ajv2020()
  assert.ok(isJsonObject(outputs) && ajv.validate(outputs, told.output), ajv.errorsText())
  return isJsonObject(told.output) ? told.output : {}
}
const analyse = (input: JsonObject): Promise<JsonObject> => inNode('document-analysis', 'analyse.mjs', input)
const report = (input: JsonObject): Promise<JsonObject> => inNode('report-generation', 'report.mjs', input)
const decoded = ({ base64 }: JsonObject): string => Buffer.from(textOf(base64), 'base64').toString()

const MARKDOWN = `# Quarterly report
The *first* quarter was **good**: see [the numbers](https://example.com/q1) & <b>more</b>.

## Items
- one
- two with \`code\`
  1. inner
- [x] done

> quoted words

| a | b |
|---|---|
| 1 | 漢 |

\`\`\`js
const a = 1 < 2
\`\`\`

---
[bad](javascript:alert(1)) ![pixel](https://tracker.example/p.gif) <script>alert(1)</script> <img src=x onerror=alert(1)>
`

describe('document-analysis', () => {
  test('passes the test of its descriptor', async () => {
    const { descriptor } = (await bundled.find(({ id }) => id === 'document-analysis')?.load()) ?? assert.fail()
    const tests = isJsonObject(descriptor) ? descriptor['tests'] : undefined
    const [first]: readonly JsonValue[] = Array.isArray(tests) ? tests : []
    assert.ok(isJsonObject(first) && isJsonObject(first['input']))
    assert.deepEqual(await analyse(first['input']), first['output'])
  })
  test('reads HTML as a browser shows it', async () => {
    const html = `<!doctype html><title> The  page </title><style>p{}</style><h1>One</h1><p>Two <a href="/x">a <i>link</i></a></p>
      <script>nothing()</script><ul><li>three<li>four</ul><table><tr><td>a<td>b</table><a href="#top">up</a>&copy;`
    const found = await analyse({ text: html })
    assert.equal(found['kind'], 'html')
    assert.equal(found['title'], 'The page')
    assert.deepEqual(found['headings'], [{ level: 1, text: 'One' }])
    assert.deepEqual(found['links'], [{ text: 'a link', url: '/x' }])
    assert.equal(textOf(found['text']).replace(/\n+/g, '|'), 'One|Two a link|three|four|a b|up©')
  })
  test('reads HTML nested beyond any stack', async () => {
    const found = await analyse({ text: `<html>${'<div>'.repeat(50_000)}deep` })
    assert.equal(found['text'], 'deep')
  })
  test('reads Markdown by its words', async () => {
    const found = await analyse({ text: MARKDOWN })
    assert.equal(found['kind'], 'markdown')
    assert.deepEqual(found['headings'], [
      { level: 1, text: 'Quarterly report' },
      { level: 2, text: 'Items' },
    ])
    assert.match(textOf(found['text']), /The first quarter was good: see the numbers & more\./)
    assert.match(textOf(found['text']), /const a = 1 < 2/)
  })
  test('tells languages apart, and says nothing about too little', async () => {
    const texts: readonly (readonly [string, string | null])[] = [
      ['It was the best of times and it was the worst of times, and that is how it is with all of them for now.', 'en'],
      ['Das ist nicht der erste Versuch, und es wird auch nicht der letzte sein, den sie mit dem neuen Werkzeug machen.', 'de'],
      ['Le chat est sur la table et il ne veut pas en descendre, ce qui est une chose que les gens ne font pas.', 'fr'],
      ['Это предложение написано по-русски для проверки.', 'ru'],
      ['これは日本語で書かれた短い文章です。言語を当ててください。', 'ja'],
      ['ok', null],
    ]
    for (const [text, language] of texts) assert.equal((await analyse({ text, media_type: 'text/plain' }))['language'], language, text)
  })
  test('cuts what is long, and refuses what it cannot read', async () => {
    const cut = await analyse({ text: 'word '.repeat(1000), max_chars: 10 })
    assert.deepEqual([cut['text'], cut['is_truncated'], cut['words']], ['word word ', true, 1000])
    assert.match(textOf((await analyse({ text: 'x', media_type: 'application/msword' }))['error']), /is not read here/)
    assert.match(textOf((await analyse({ text: 'x', media_type: 'application/pdf' }))['error']), /as base64/)
    assert.match(textOf((await analyse({ base64: Buffer.from('%PDF-1.4 no').toString('base64') }))['error']), /PDF/)
  })
})

describe('report-generation', () => {
  test('makes a page that runs nothing and loads nothing', async () => {
    const made = await report({ markdown: MARKDOWN, format: 'html', author: '<Ada>' })
    const html = decoded(made)
    assert.equal(made['media_type'], 'text/html; charset=utf-8')
    assert.match(html, /<title>Quarterly report<\/title><meta name="author" content="&#60;Ada&#62;">/)
    assert.match(html, /<a href="https:\/\/example\.com\/q1" rel="noopener noreferrer">the numbers<\/a>/)
    assert.doesNotMatch(html, /<script|<img|<b>|javascript:|onerror=alert\(1\)>/)
    assert.match(html, /<td>漢<\/td>/)
  })
  test('makes a PDF that document-analysis reads again', async () => {
    const made = await report({
      markdown: MARKDOWN + 'A paragraph of many words that goes on. '.repeat(400),
      format: 'pdf',
      title: 'Numbers',
    })
    assert.equal(made['media_type'], 'application/pdf')
    assert.ok(Number(made['pages']) >= 2)
    assert.match(JSON.stringify(made['warnings']), /漢/)
    const read = await analyse({ base64: textOf(made['base64']) })
    assert.deepEqual([read['kind'], read['title'], read['pages']], ['pdf', 'Numbers', made['pages']])
    for (const words of ['Quarterly report', 'two with code', 'quoted words', '1 / '])
      assert.ok(textOf(read['text']).includes(words), words)
  })
  test('breaks words that no line holds, and letters that no font has', async () => {
    const made = await report({ markdown: `${'x'.repeat(2_000)}\n\n${'😀'.repeat(10)} \u0007`, format: 'pdf', paper: 'letter' })
    assert.equal(made['pages'], 1)
  })
})

describe('profile-enricher', () => {
  const enrich = async (userId: string): Promise<JsonValue | undefined> =>
    (await child('python3', ['-c', PYTHON, join(folder, 'profile-enricher')], { userId })).output
  test('answers with a profile whose address another skill has judged', async (t) => {
    const python = await child('python3', ['-c', 'print("{}")'], {}).catch(() => null)
    if (python === null && process.env['CI'] !== 'true') return t.skip('no python3 on this machine')
    assert.deepEqual(await enrich('u-1'), { profile: { name: 'Ada Lovelace', email: 'ada@example.com' } })
    assert.deepEqual(await enrich('grace.hopper'), { profile: { name: 'Grace Hopper', email: 'grace.hopper@example.com' } })
    assert.deepEqual(await enrich('Ada@Example.org'), { profile: { name: 'Ada', email: 'ada@example.org' } })
    assert.deepEqual(await enrich('42'), { profile: { name: 'Unknown', email: 'unknown@example.com' } })
    assert.deepEqual(await enrich('a b@x'), { profile: { name: 'A B' } })
  })
})
