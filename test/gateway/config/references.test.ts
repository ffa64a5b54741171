/** What `${…}` in `openclaw.yaml` may stand for, where each value comes from, and what is told of one that cannot be had. */
import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { effective, effectiveValues } from '../../../gateway/config/effective.ts'
import { heldBack } from '../../../gateway/config/held-back.ts'
import { formatFault, loadConfig } from '../../../gateway/config/load.ts'
import type { Loaded } from '../../../gateway/config/load.ts'
import { newKeyText, parseKey, seal } from '../../../gateway/secrets/sealed.ts'
import { FakeVault } from '../../fakes/vault.ts'
import { folder } from './folder.ts'

type Env = { readonly [name: string]: string }

async function load(t: TestContext, files: { readonly [name: string]: string }, env: Env = {}): Promise<Loaded> {
  const loaded = await loadConfig({ dir: await folder(t, files), env })
  return loaded.ok ? loaded : assert.fail(loaded.faults.map(formatFault).join('\n'))
}
async function faults(t: TestContext, files: { readonly [name: string]: string }, env: Env = {}): Promise<readonly string[]> {
  const loaded = await loadConfig({ dir: await folder(t, files), env })
  return loaded.ok ? assert.fail('there is no fault') : loaded.faults.map(formatFault)
}
async function startVault(t: TestContext): Promise<{ readonly vault: FakeVault; readonly block: string }> {
  const vault = new FakeVault()
  const address = await vault.start()
  t.after(() => vault.stop())
  vault.token('vault-root-token')
  return {
    vault,
    block: `secrets: {backend: vault, vault_addr: "${address}", vault_path: secret/openclaw, vault_auth: {token: "\${VAULT_TOKEN}"}}\n`,
  }
}
const VAULT_ENV = { VAULT_TOKEN: 'vault-root-token' }

test('each source fills in its references, alone and in the middle of a text', async (t) => {
  const { vault, block } = await startVault(t)
  vault.put('app', { password: 'from-vault' })
  const text = newKeyText()
  const key = parseKey(text)
  assert.ok(key !== null)
  const yaml = `${block}channels:
  a: {kind: x, token: "\${file:./token}", url: "amqp://u:\${vault:secret/app#password}@h/", sealed: "\${SEALED}", plain: "\${PLAIN}", real: "\${REAL}"}
`
  const files = {
    'openclaw.yaml': yaml,
    token: 'from-file\n',
    '.env': 'PLAIN=from-dotenv\nREAL=overridden\n',
    '.env.enc': `SEALED=${seal(key, 'SEALED', 'from-sealed')}\n`,
  }
  const loaded = await load(t, files, { ...VAULT_ENV, OPENCLAW_ENV_KEY: text, REAL: 'from-env' })
  assert.deepEqual(loaded.config.channels[0]?.settings, {
    token: 'from-file',
    url: 'amqp://u:from-vault@h/',
    sealed: 'from-sealed',
    plain: 'from-dotenv',
    real: 'from-env',
  })
  for (const secret of ['from-file', 'from-vault', 'from-sealed', 'vault-root-token']) assert.ok(loaded.secrets.includes(secret), secret)
})

test('with the backend vault a name that nobody else knows is a field of the home path', async (t) => {
  const { vault, block } = await startVault(t)
  vault.put('openclaw', { OPENAI_KEY: 'sk-from-vault', REAL: 'not this' })
  const yaml = `${block}project: \${REAL}\nllm: {providers: {openai: {api_key: "\${OPENAI_KEY}"}}}\n`
  const loaded = await load(t, { 'openclaw.yaml': yaml }, { ...VAULT_ENV, REAL: 'environment first' })
  assert.equal(loaded.config.llm.providers['openai']?.apiKey, 'sk-from-vault')
  assert.equal(loaded.config.project, 'environment first')
})

test('a default stands in for what is missing, never for what failed', async (t) => {
  const { vault, block } = await startVault(t)
  vault.put('locked', { a: 'x' })
  vault.denied.add('secret/data/locked')
  const found = await load(
    t,
    { 'openclaw.yaml': `${block}project: "\${file:./gone:-a}-\${vault:secret/none#x:-b}-\${NOPE:-c}-\${file:-d}"\n` },
    VAULT_ENV,
  )
  assert.equal(found.config.project, 'a-b-c-d')
  const [fault] = await faults(t, { 'openclaw.yaml': `${block}project: \${vault:secret/locked#a:-b}\n` }, VAULT_ENV)
  assert.match(fault ?? '', /^openclaw\.yaml:2:10 project: secret\/locked cannot be had from Vault: Vault denied/)
})

test('every fault is told at once, each at its place, and without a value', async (t) => {
  const { vault, block } = await startVault(t)
  vault.put('app', { token: 'x', port: 'secret-port' })
  const yaml = `${block}project: \${file:./gone}
version: \${vault:secret/app#tokn}
server: {port: "\${vault:secret/app#port}"}
fallback: \${odd:thing}
log: {level: "\${UNSET_LEVEL}"}
`
  const told = await faults(t, { 'openclaw.yaml': yaml }, VAULT_ENV)
  assert.match(
    told[0] ?? '',
    /^openclaw\.yaml:2:10 project: there is no file \/.*\/gone, expected the secret in it, expected a value; set it or write \$\{file:\.\/gone:-default\}$/,
  )
  assert.match(told[1] ?? '', /^openclaw\.yaml:3:10 version: secret\/app in Vault has no field "tokn"; did you mean "token"\?/)
  assert.match(told[2] ?? '', /^openclaw\.yaml:4:16 server\.port: the value of vault:secret\/app#port, expected a whole number$/)
  assert.match(told[3] ?? '', /^openclaw\.yaml:5:11 fallback: there is no source "odd", expected one of file, vault/)
  assert.match(
    told[4] ?? '',
    /^openclaw\.yaml:6:\d+ log\.level: UNSET_LEVEL is neither a variable of the environment nor a field of secret\/openclaw/,
  )
  assert.equal(told.length, 5)
})

test('a secret is not told by a rule that quotes it', async (t) => {
  const told = await faults(t, { 'openclaw.yaml': 'agents: {a: {}}\nfallback: ${file:./token}\n', token: 'canary-secret' })
  assert.match(told.join('\n'), /no agent is called "\*\*\*"/)
})

test('the block that says where Vault is cannot lie in it, and its faults are told once', async (t) => {
  const block = (inside: string): { readonly [name: string]: string } => ({
    'openclaw.yaml': `secrets: {backend: vault, ${inside}}\nproject: \${vault:a/b#c}\n`,
  })
  assert.deepEqual(await faults(t, block('vault_auth: {token: t}')), [
    'openclaw.yaml:1:1 secrets.vault_addr: nothing, expected the address of Vault because the backend is vault',
  ])
  assert.match(
    (await faults(t, block('vault_addr: "http://vault.example:8200", vault_auth: {token: t}')))[0] ?? '',
    /vault_addr: plain HTTP beyond loopback, expected https/,
  )
  const withPassword = (await faults(t, block('vault_addr: "https://ann:pw1@v", vault_auth: {token: t}')))[0] ?? ''
  assert.match(withPassword, /vault_addr: an address with user, password or query, expected/)
  assert.doesNotMatch(withPassword, /pw1/)
  assert.match(
    (await faults(t, block('vault_addr: "https://v", vault_auth: {method: approle}')))[0] ?? '',
    /vault_auth\.role_id: nothing, expected it because the method is approle/,
  )
  assert.match(
    (await faults(t, block('vault_addr: "https://v", vault_path: nowhere, vault_auth: {token: t}')))[0] ?? '',
    /vault_path: no path in Vault/,
  )
  assert.match(
    (await faults(t, block('vault_addr: "https://v", vault_auth: {token: "${vault:a/b#c}"}')))[0] ?? '',
    /there is no Vault to ask here/,
  )
  assert.match((await faults(t, { 'openclaw.yaml': 'project: ${vault:a/b#c}\n' }))[0] ?? '', /expected secrets\.backend: vault/)
  assert.match((await faults(t, { 'openclaw.yaml': 'secrets: {backend: aws-sm}\n' }))[0] ?? '', /expected one of env, vault/)
})

test('a .env in the folder is asked by name and has no other effect', async (t) => {
  const hostile =
    'OPENCLAW_HOST=0.0.0.0\nOPENCLAW_PORT=1\nNODE_OPTIONS=--require /tmp/x.js\nLD_PRELOAD=/tmp/x.so\nOPENAI_API_KEY=planted\nPATH=/tmp\nHTTPS_PROXY=http://evil\n'
  const before = JSON.stringify(process.env)
  const loaded = await load(t, { 'openclaw.yaml': 'project: ${PATH}\n', '.env': hostile }, { PATH: '/usr/bin' })
  assert.equal(loaded.config.server.host, '127.0.0.1')
  assert.equal(loaded.config.server.port, 8400)
  assert.deepEqual(loaded.config.llm.providers, {})
  assert.equal(loaded.config.project, '/usr/bin', 'the environment has the first word')
  assert.equal(JSON.stringify(process.env), before)
})

test('what came from a source is masked wherever it stands, with where it came from', async (t) => {
  const yaml =
    'project: "name-${file:./token}"\nserver: {port: "${file:./port}"}\nversion: ${MY_TOKEN}\nchannels: {q: {headers: {X-Custom: "Bearer ${MY_TOKEN}"}}}\n'
  const loaded = await load(t, { 'openclaw.yaml': yaml, token: 'canary-token', port: '8123' }, { MY_TOKEN: 'canary-env-1' })
  const text = effective(loaded)
  assert.doesNotMatch(text, /canary|8123/)
  assert.match(text, /^project: "\*\*\*" +# openclaw\.yaml:1 \(file:\.\/token\)$/m)
  assert.match(text, /^version: "\*\*\*" +# openclaw\.yaml:3 \(env MY_TOKEN\)$/m)
  assert.doesNotMatch(JSON.stringify(effectiveValues(loaded)), /canary|8123/)
  assert.deepEqual(loaded.secrets.toSorted(), ['8123', 'canary-env-1', 'canary-token'])
  assert.equal(loaded.config.server.port, 8123)
})

test('settings that are read at the start alone are named when a secret in them has changed', async (t) => {
  const yaml = 'channels: {a: {token: "${file:./a}"}, b: {token: "${file:./b}"}}\nllm: {providers: {openai: {api_key: "${file:./a}"}}}\n'
  const { origins } = await load(t, { 'openclaw.yaml': yaml, a: 'x', b: 'y' })
  assert.deepEqual(heldBack(origins, ['file:./a']), ['channels.a.token'])
  assert.deepEqual(heldBack(origins, []), [])
})

test('a token that lives for months is not renewed over and over by a command that reads the configuration once', async (t) => {
  const { vault, block } = await startVault(t)
  vault.token('long-lived', { ttlS: 60 * 86_400, maxS: 60 * 86_400 })
  const fields = Array.from({ length: 8 }, (_, i) => `  a${i}: { description: "\${vault:database/creds/app${i}#username}" }\n`)
  await load(t, { 'openclaw.yaml': `${block}agents:\n${fields.join('')}` }, { ...VAULT_ENV, VAULT_TOKEN: 'long-lived' })
  assert.equal(vault.count(/renew-self/), 0)
})

test('a command that reads the configuration once gives back what Vault made for it', async (t) => {
  const { vault, block } = await startVault(t)
  await load(t, { 'openclaw.yaml': `${block}project: \${vault:database/creds/app#username}\n` }, VAULT_ENV)
  assert.equal(vault.count(/^GET database\/creds/), 1)
  assert.deepEqual(vault.leases, [])
})
