/** A hook that could not prove its senders does not come to be: the whole gateway refuses to start, and says where the fault is. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { InvalidError } from '#contract'
import type { Channel } from '#contract'
import { hook } from '../../../channels/hook/hook.ts'
import { formatFault, loadConfig } from '../../../gateway/config/load.ts'
import { folder } from '../../gateway/config/folder.ts'

const GOOD = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

/** The faults; none: it can be made. */
async function faultsOf(context: test.TestContext, yaml: string, env: { readonly [name: string]: string } = {}): Promise<string> {
  const dir = await folder(context, { 'openclaw.yaml': `channels:\n  ci:\n    kind: hook\n    ${yaml}\n` })
  const loaded = await loadConfig({ dir, env })
  if (!loaded.ok) return loaded.faults.map(formatFault).join('\n')
  const { settings, faults } = loaded.checkChannel('ci', hook.schema)
  if (faults.length > 0) return faults.map(formatFault).join('\n')
  try {
    const channel: Channel = hook.create('ci', settings)
    assert.equal(channel.routes?.[0]?.path, '/hooks/ci')
    return ''
  } catch (error) {
    assert.ok(error instanceof InvalidError)
    return error.faults.map(({ detail }) => detail).join('\n')
  }
}

describe('a secret', () => {
  const refused: readonly (readonly [what: string, yaml: string])[] = [
    ['that is not there', 'scheme: github'],
    ['that is empty', "secret: ''"],
    ['that is blank', "secret: '                    '"],
    ['with a line break at its end', 'secret: "0123456789abcdef\\n"'],
    ['that is null', 'secret: null'],
    ['that is short', 'secret: abcdefghijklmno'],
    ['in an empty list', 'secret: []'],
    ['that is blank beside a good one', `secret: [${GOOD}, '                    ']`],
    ['that is only a prefix', 'secret: whsec_'],
    ['with no base64 behind its prefix', 'secret: whsec_%%%%%%%%%%%%%%%%'],
    ['that is a public key, which everybody may have', 'secret: whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='],
    ['that is a public key beside a good one', `secret: [${GOOD}, whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=]`],
    ['that is a public key in another scheme', 'secret: whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n    scheme: openclaw'],
    ['that is a private key, which nobody may have', 'secret: whsk_nWGxne/9WmC6hErzSSxcx8RUSUaXy3MmlgO+pTyvH0Y='],
    ['in more than five versions', `secret: [${Array(6).fill(GOOD).join(', ')}]`],
  ]
  for (const [what, yaml] of refused) {
    test(`${what} is a fault`, async (context) => assert.match(await faultsOf(context, yaml), /channels\.ci\.secret/))
  }

  test('from a variable that is empty or missing is a fault', async (context) => {
    assert.match(await faultsOf(context, 'secret: ${CI_SECRET}', { CI_SECRET: '' }), /secret/)
    assert.match(await faultsOf(context, 'secret: ${CI_SECRET}'), /CI_SECRET/)
  })

  test('stands in no fault', async (context) => {
    for (const yaml of ['secret: not-long-enough', 'secret: whsec_%not-base64-at-all%', 'secret: [not-long-enough]'])
      assert.doesNotMatch(await faultsOf(context, yaml), /not-/)
  })

  test('alone, or several while it is changed, is enough', async (context) => {
    assert.equal(await faultsOf(context, `secret: ${GOOD}`), '')
    assert.equal(await faultsOf(context, `secret: [${GOOD}, 'some words that are long enough']`), '')
  })
})

test('a map with a pointer or a name that cannot be is a fault, with its place', async (context) => {
  const of = (map: string): Promise<string> => faultsOf(context, `secret: ${GOOD}\n    map: ${map}`)
  assert.match(await of("{ sender: '/a~2' }"), /channels\.ci\.map\.sender/)
  assert.match(await of("{ text: 'by {header:x y}' }"), /channels\.ci\.map\.text/)
  assert.match(await of('{ json: always }'), /channels\.ci\.map\.json/)
  assert.match(await of('{ metadata: { headers: /a } }'), /channels\.ci\.map\.metadata\.headers/)
  assert.match(await of('{ metadata: { __proto__: /a } }'), /channels\.ci\.map\.metadata/)
  assert.match(await of('{ txt: /a }'), /text/)
  assert.equal(
    await of("{ sender: /user/id, text: 'New: {/title}', json: /data, lane: /thread, agent: ops, metadata: { repo: /repository/name } }"),
    '',
  )
})
