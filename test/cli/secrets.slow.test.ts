/** `openclaw secrets`, as a process: files that only their owner reads, values that stand on no command line and in no output. */
import assert from 'node:assert/strict'
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { bench } from './cli.ts'

const YAML = 'project: ${NAME}\nllm: {providers: {openai: {api_key: "${API_TOKEN}"}}}\n'

test('a .env is encrypted with a key made for it, checked, extended and decrypted', async (t) => {
  const { dir, run } = await bench(t)
  await writeFile(join(dir, 'openclaw.yaml'), YAML)
  await writeFile(join(dir, '.env'), 'API_TOKEN=canary-1\nNAME="two words"\n', { mode: 0o644 })
  const doctor = async (): Promise<string> => (await run(['doctor'])).out
  assert.match(await doctor(), /warn {2}secrets: \.env has mode 644, others may read it/)

  const encrypted = await run(['secrets', 'encrypt'])
  assert.equal(encrypted.code, 0, encrypted.err)
  assert.match(encrypted.err, /2 values of \.env are in \.env\.enc.*remove \.env/)
  assert.match(await doctor(), /warn {2}secrets: \.env lies beside \.env\.enc/)
  await rm(join(dir, '.env'))
  assert.match(await doctor(), /ok {4}secrets: \.env\.enc has its key/)
  const text = await readFile(join(dir, '.env.enc'), 'utf8')
  assert.match(text, /^API_TOKEN=enc:v1:/m)
  assert.doesNotMatch(text, /canary|two words/)
  for (const file of ['.env.enc', '.openclaw/env.key']) assert.equal((await stat(join(dir, file))).mode & 0o777, 0o600, file)

  const checked = await run(['secrets'])
  assert.equal(checked.code, 0, checked.err)
  assert.match(checked.out, /API_TOKEN +llm\.providers\.openai\.api_key +openclaw\.yaml:2/)
  assert.equal((await run(['secrets', 'set', 'MORE'], { stdin: 'it\'s "canary" \\2\n' })).code, 0)
  assert.equal(
    await readFile(join(dir, '.env.enc'), 'utf8').then((after) => after.split('\n')[1]),
    text.split('\n')[1],
    'other lines stay as they are',
  )
  const decrypted = await run(['secrets', 'decrypt'])
  assert.deepEqual(decrypted.out.split('\n'), ['API_TOKEN=canary-1', 'MORE=`it\'s "canary" \\2`', "NAME='two words'", ''])
  for (const { out, err } of [encrypted, checked]) assert.doesNotMatch(out + err, /canary/)

  await rm(join(dir, '.openclaw', 'env.key'))
  assert.match((await run(['secrets', 'check'])).err, /API_TOKEN is encrypted in \.env\.enc and there is no key for it/)
  assert.equal((await run(['secrets', 'decrypt'])).code, 1)
  assert.match(await doctor(), /FAIL {2}secrets: there is no key for \.env\.enc/)
})

test('what cannot be done is said, with a code', async (t) => {
  const { dir, run } = await bench(t)
  assert.equal((await run(['secrets', 'encrypt'])).code, 5)
  assert.equal((await run(['secrets', 'decrypt'])).code, 5)
  assert.equal((await run(['secrets', 'set', 'A-B'], { stdin: 'x' })).code, 2)
  assert.equal((await run(['secrets', 'set', 'A'])).code, 2)
  const other = await run(['secrets', 'set', 'A'], { stdin: 'x', env: { OPENCLAW_ENV_KEY: 'a passphrase' } })
  assert.match(other.err, /OPENCLAW_ENV_KEY holds no key/)
  await writeFile(join(dir, '.env.enc'), 'B=plain\n')
  assert.match((await run(['secrets', 'set', 'A'], { stdin: 'x' })).err, /B stands unencrypted/)
})

test("the gateway's own secret is replaced where there is one, once until the gateway was started again", async (t) => {
  const { dir, run } = await bench(t)
  const none = await run(['secrets', 'rotate'])
  assert.deepEqual([none.code, /There is no .*secret/.test(none.err)], [5, true])
  const file = join(dir, '.openclaw', 'secret')
  await mkdir(join(dir, '.openclaw'), { recursive: true })
  const former = Buffer.alloc(32, 1).toString('base64url')
  await writeFile(file, `${former}\n`, { mode: 0o600 })
  const rotated = await run(['secrets', 'rotate'])
  assert.equal(rotated.code, 0, rotated.err)
  assert.match(rotated.err, /Restart the gateway/)
  const text = await readFile(file, 'utf8')
  assert.match(text, new RegExp(`^[\\w-]{43}\\n${former}\\n$`))
  assert.equal((await stat(file)).mode & 0o777, 0o600)
  const again = await run(['secrets', 'rotate'])
  assert.deepEqual([again.code !== 0, /Start it first/.test(again.err)], [true, true])
  assert.equal(await readFile(file, 'utf8'), text)
})
