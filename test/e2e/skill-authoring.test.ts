/**
 * What docs/skills/ promises to somebody who writes a skill: its own examples are taken out of it and run as they stand, in the order in which
 * they stand, against the real gateway and the real command.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import type { JsonObject } from '#contract'
import { startChild } from '../support/child.ts'
import { startGateway } from '../support/gateway-process.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const GUIDE = readFileSync(join(ROOT, 'docs/skills/writing-a-skill.md'), 'utf8')
const README = readFileSync(join(ROOT, 'docs/skills/README.md'), 'utf8')

interface Run {
  readonly code: number | null
  readonly output: string
}

async function openclaw(dir: string, args: readonly string[], env: { readonly [name: string]: string } = {}): Promise<Run> {
  const child = startChild([join(ROOT, 'cli', 'openclaw.ts'), ...args], {
    env: { PATH: process.env['PATH'], OPENCLAW_DIR: dir, ...env },
    cwd: dir,
  })
  const { code } = await child.ended
  return { code, output: child.output() }
}

/** The words of a line as a shell would read them; enough for what the guide has. */
const wordsOf = (line: string): readonly string[] =>
  [...line.replace(/\s+#.*$/, '').matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')

/** Writes the files of a page and runs its commands, each as it comes; what they said by command. */
async function follow(page: string, dir: string): Promise<ReadonlyMap<string, string>> {
  const said = new Map<string, string>()
  for (const [, file, , language = '', body = ''] of page.matchAll(/(?:<!-- file: (\S+) -->\n(\n)?)?```(\w*)\n([^]*?)^```$/gm)) {
    if (file !== undefined) {
      mkdirSync(dirname(join(dir, file)), { recursive: true })
      writeFileSync(join(dir, file), body)
    }
    for (const line of language === 'sh' ? body.trim().split('\n') : []) {
      if (!line.startsWith('npx openclaw ')) continue
      const { code, output } = await openclaw(dir, wordsOf(line).slice(2))
      assert.equal(code, 0, `${line}\n${output}`)
      said.set(line, output)
    }
  }
  return said
}

test('who follows the guide has a skill that answers over the command, over HTTP, and in a chat', { timeout: 120_000 }, async (t) => {
  const gateway = await startGateway(t)
  const said = await follow(GUIDE, gateway.dir)
  const saidTo = (part: string): string => [...said].find(([line]) => line.includes(part))?.[1] ?? assert.fail(`the guide has no ${part}`)
  assert.match(saidTo('skills test greeter'), /3 of 3|3 passed/)
  assert.match(saidTo('skills invoke greeter'), /\{"greeting":"Hello Ann"\}/)
  assert.match(saidTo('messages send'), /\{"greeting":"Hello Ann"\}/)
  const response = await gateway.fetch('/v1/skills/greeter/invoke', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"input":{"name":"Ann","language":"de"}}',
  })
  assert.deepEqual([response.status, ((await response.json()) as JsonObject)['output']], [200, { greeting: 'Hallo Ann' }])
})

test('the first minute of docs/skills is one', { timeout: 60_000 }, async (t) => {
  const gateway = await startGateway(t)
  const said = await follow(README, gateway.dir)
  assert.match([...said.values()].at(-1) ?? '', /\{"words":3\}/)
})
