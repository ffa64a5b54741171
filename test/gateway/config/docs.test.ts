import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import test from 'node:test'
import { agentSchema } from '../../../gateway/config/agent-schema.ts'
import { formatFault, loadConfig } from '../../../gateway/config/load.ts'
import { configSchema } from '../../../gateway/config/schema.ts'
import { folder } from './folder.ts'
import { schemaTable } from './schema-table.ts'

const FILE = new URL('../../../docs/configuration.md', import.meta.url)
const TABLE = /(<!-- schema: [^\n]*-->\n)[\s\S]*?(<!-- end of schema -->)/

test('the table of keys in docs/configuration.md is that of the schema', async () => {
  const text = await readFile(FILE, 'utf8')
  const wanted = text.replace(TABLE, (_, open: string, close: string) => `${open}${schemaTable(configSchema)}\n${close}`)
  if (process.env['UPDATE_DOCS']) await writeFile(FILE, wanted)
  else assert.equal(text, wanted)
})

test('the example in docs/configuration.md is without fault', async (t) => {
  const yaml = /```yaml\n([\s\S]*?)```/.exec(await readFile(FILE, 'utf8'))?.[1] ?? ''
  const env = { OPENAI_API_KEY: 'a', ANTHROPIC_API_KEY: 'b' }
  const loaded = await loadConfig({ dir: await folder(t, { 'openclaw.yaml': yaml }), env })
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(formatFault).join('\n'))
  assert.equal(loaded.config.routes.length, 2)
})

test('the schema is one that Ajv takes, in strict mode but for its two formats', async () => {
  const { Ajv2020 } = await import('ajv/dist/2020.js')
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, formats: { duration: true, bytes: true, uri: true } })
  const validate = ajv.compile(configSchema)
  assert.ok(validate({ server: { port: 0 }, agents: { a: { limits: { turn_timeout: '5m' } } } }))
  assert.ok(!validate({ server: { prot: 0 } }))
  ajv.compile(agentSchema)
})
