/** What lies in files beside the gateway: secrets of the system, and `.env` in both its forms. */
import assert from 'node:assert/strict'
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import test from 'node:test'
import { DotEnv, findKey } from '../../../gateway/secrets/dot-env.ts'
import { FileSource } from '../../../gateway/secrets/file-source.ts'
import { newKeyText, parseKey, seal, unseal } from '../../../gateway/secrets/sealed.ts'
import { folder } from '../config/folder.ts'

const problem = (answer: object): string =>
  'problem' in answer ? String(answer.problem) : assert.fail(`answered ${JSON.stringify(answer)}`)

test('a file is read as it is, without the end of line that editors leave', async (t) => {
  const dir = await folder(t, { plain: 'abc\n', windows: 'abc\r\n', two: 'abc\n\n', spaces: ' a b ', empty: '\n' })
  const files = new FileSource({ dir, env: {} })
  const value = async (name: string): Promise<unknown> => files.resolve(join(dir, name))
  assert.deepEqual(await value('plain'), { is: 'value', value: 'abc', isSecret: true })
  assert.deepEqual(await value('windows'), { is: 'value', value: 'abc', isSecret: true })
  assert.deepEqual(await value('two'), { is: 'value', value: 'abc\n', isSecret: true })
  assert.deepEqual(await value('spaces'), { is: 'value', value: ' a b ', isSecret: true })
  assert.match(problem(await files.resolve(join(dir, 'empty'))), /is empty/)
  assert.deepEqual(
    await files.resolve('./plain'),
    { is: 'value', value: 'abc', isSecret: true },
    'a path with a slash counts from the folder',
  )
})

test('a bare name is looked up where systemd laid credentials, and otherwise where Docker mounts them', async (t) => {
  const dir = await folder(t, { token: 'from systemd' })
  assert.deepEqual(await new FileSource({ dir: '/', env: { CREDENTIALS_DIRECTORY: dir } }).resolve('token'), {
    is: 'value',
    value: 'from systemd',
    isSecret: true,
  })
  assert.equal(new FileSource({ dir: '/', env: {} }).path('token'), '/run/secrets/token')
})

test('a file that is missing may be stood in for; one that cannot be trusted may not', async (t) => {
  const dir = await folder(t, { open: 'x', binary: 'a\u0000b', large: 'x'.repeat(65_537) })
  await chmod(join(dir, 'open'), 0o666)
  await mkdir(join(dir, 'folder'))
  await symlink(join(dir, 'gone'), join(dir, 'dangling'))
  const files = new FileSource({ dir, env: {} })
  const answers = await Promise.all(['gone', 'dangling', 'open', 'folder', 'binary', 'large'].map((name) => files.resolve(`./${name}`)))
  assert.deepEqual(
    answers.map(({ is }) => is),
    ['missing', 'missing', 'failed', 'failed', 'failed', 'failed'],
  )
  assert.match(problem(answers[2] ?? {}), /everybody may write to the file .*chmod 600/)
  assert.match(problem(answers[5] ?? {}), /has 65537 bytes, expected at most 65536/)
})

test('a sealed value opens with its key, under its name, and unchanged, and never otherwise', () => {
  const [key, other] = [parseKey(newKeyText()), parseKey(newKeyText())]
  assert.ok(key !== null && other !== null)
  const sealed = seal(key, 'TOKEN', 'Wörter & 秘密')
  assert.match(sealed, /^enc:v1:[\w-]+$/)
  assert.notEqual(sealed, seal(key, 'TOKEN', 'Wörter & 秘密'), 'the same value looks different each time')
  assert.equal(unseal(key, 'TOKEN', sealed), 'Wörter & 秘密')
  assert.equal(unseal(other, 'TOKEN', sealed), null)
  assert.equal(unseal(key, 'OTHER', sealed), null)
  for (let at = 7; at < sealed.length - 1; at++) {
    const changed = sealed.slice(0, at) + (sealed[at] === 'A' ? 'B' : 'A') + sealed.slice(at + 1)
    assert.equal(unseal(key, 'TOKEN', changed), null, `changed at ${at}`)
  }
  for (const text of ['', 'enc:v1:', 'enc:v1:AAAA', 'plain', sealed.slice(0, 30)]) assert.equal(unseal(key, 'TOKEN', text), null)
})

test('what was sealed by version 1 opens for ever', () => {
  const key = parseKey(`oek_${Buffer.alloc(32, 7).toString('base64url')}`)
  assert.ok(key !== null)
  assert.equal(unseal(key, 'TOKEN', FROZEN), 'frozen value')
})
const FROZEN = 'enc:v1:UAYI1lMH92R5onJmpQKqcuU8CAuTh-_Q-KBXkgyGA64W02oiaKw8Lg'

test('a key is 256 bits behind its prefix; a passphrase is none', () => {
  for (const text of ['', 'correct horse battery staple', 'oek_short', newKeyText().slice(4), `${newKeyText()}x`])
    assert.equal(parseKey(text), null, text)
  assert.equal(parseKey(` ${newKeyText()}\n`)?.length, 32)
})

test('the encrypted file comes before the plain one, and says what is wrong with it', async (t) => {
  const text = newKeyText()
  const key = parseKey(text)
  assert.ok(key !== null)
  const dir = await folder(t, {
    '.env': 'A=plain\nTOKEN=plain-token\nONLY="two\\nlines"\n',
    '.env.enc': `A=${seal(key, 'A', 'sealed')}\nMOVED=${seal(key, 'A', 'sealed')}\nBARE=oops\n`,
  })
  const read = new DotEnv({ dir, env: { OPENCLAW_ENV_KEY: text } })
  assert.deepEqual(await read.resolve('A'), { is: 'value', value: 'sealed', isSecret: true })
  assert.deepEqual(await read.resolve('TOKEN'), { is: 'value', value: 'plain-token', isSecret: true })
  assert.deepEqual(await read.resolve('ONLY'), { is: 'value', value: 'two\nlines', isSecret: false })
  assert.match(problem(await read.resolve('MOVED')), /made with another, for another name/)
  assert.match(problem(await read.resolve('BARE')), /stands unencrypted in \.env\.enc/)
  assert.equal((await read.resolve('toString')).is, 'missing')
  const locked = await new DotEnv({ dir, env: {} }).resolve('A')
  assert.equal(locked.is, 'failed', 'the plain value does not stand in for one that cannot be opened')
  assert.match(problem(locked), /set OPENCLAW_ENV_KEY/)
  assert.match(problem(await new DotEnv({ dir, env: { OPENCLAW_ENV_KEY: 'horse' } }).resolve('A')), /OPENCLAW_ENV_KEY holds no key/)
})

test('a .env that everybody may write to, or that is no file, is refused as every other file with a secret is', async (t) => {
  const dir = await folder(t, { '.env': 'TOKEN=planted\n' })
  await chmod(join(dir, '.env'), 0o666)
  assert.match(problem(await new DotEnv({ dir, env: {} }).resolve('TOKEN')), /everybody may write to the file .*chmod 600/)
  await rm(join(dir, '.env'))
  await mkdir(join(dir, '.env'))
  assert.match(problem(await new DotEnv({ dir, env: {} }).resolve('TOKEN')), /\.env is no file/)
})

test('the key is taken from the environment, from the file that it names, or from the folder of the gateway', async (t) => {
  const [a, b, c] = [newKeyText(), newKeyText(), newKeyText()]
  const dir = await folder(t, { named: `${b}\n` })
  const found = async (env: { readonly [name: string]: string }): Promise<string> => {
    const key = await findKey({ dir, env })
    return key.is === 'key' ? key.text : key.is
  }
  assert.equal(await found({}), 'none')
  await mkdir(join(dir, '.openclaw'))
  await writeFile(join(dir, '.openclaw', 'env.key'), c)
  assert.equal(await found({}), c)
  assert.equal(await found({ OPENCLAW_ENV_KEY_FILE: join(dir, 'named') }), b)
  assert.equal(await found({ OPENCLAW_ENV_KEY: a, OPENCLAW_ENV_KEY_FILE: join(dir, 'named') }), a)
  assert.equal(await found({ OPENCLAW_ENV_KEY_FILE: join(dir, 'gone') }), 'bad', 'a file that was named is not passed over')
})
