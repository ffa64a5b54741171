import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { descriptorSchema } from '../../skills/descriptor/descriptor-schema.ts'
import { parseDescriptor } from '../../skills/descriptor/descriptor.ts'
import { schemaTable } from '../gateway/config/schema-table.ts'

const ROOT = join(import.meta.dirname, '../..')
const FILE = join(ROOT, 'docs/skills/README.md')
const TABLE = /(<!-- schema: [^\n]*-->\n)[\s\S]*?(<!-- end of schema -->)/
const PAGES = ['README.md', ...globSync('docs/skills/*.md', { cwd: ROOT })].map((path) => join(ROOT, path))

test('the table of members in docs/skills/README.md is that of the schema', async () => {
  const text = await readFile(FILE, 'utf8')
  const wanted = text.replace(TABLE, (_, open: string, close: string) => `${open}${schemaTable(descriptorSchema)}\n${close}`)
  if (process.env['UPDATE_DOCS']) await writeFile(FILE, wanted)
  else assert.equal(text, wanted)
})

test('every descriptor in the documentation is without fault', async () => {
  let count = 0
  for (const page of PAGES) {
    for (const [, json = ''] of (await readFile(page, 'utf8')).matchAll(/```json\n([\s\S]*?)```/g)) {
      const parsed = await parseDescriptor(JSON.parse(json))
      assert.ok(parsed.ok, parsed.ok ? '' : `${page}: ${JSON.stringify(parsed.faults)}`)
      count += 1
    }
  }
  assert.ok(count >= 4)
})

test('links between the pages lead somewhere', async () => {
  for (const page of [...PAGES, join(ROOT, 'skills/README.md')]) {
    for (const [, link = ''] of (await readFile(page, 'utf8')).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      assert.ok(await stat(join(dirname(page), link)).catch(() => null), `${page} points at ${link}`)
    }
  }
})
