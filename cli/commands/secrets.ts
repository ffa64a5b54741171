/**
 * `openclaw secrets`: what the configuration refers to and whether it is to be had, the encrypted `.env.enc`, and the gateway's own secret. Values are read from standard input and
 * never from the line, where other users see them; none is printed but by `decrypt`.
 */
import { access, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text as textOf } from 'node:stream/consumers'
import { parseEnv } from 'node:util'
import { gatewayDir } from '../../gateway/config/environment.ts'
import { formatFault, loadConfig } from '../../gateway/config/load.ts'
import { rotateSecret } from '../../gateway/http/own-secret.ts'
import { PLAIN_FILE, SEALED_FILE } from '../../gateway/secrets/dot-env.ts'
import { isSealed, seal, unseal } from '../../gateway/secrets/sealed.ts'
import type { Call, Command, World } from '../command.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { plain } from '../output.ts'
import { envKey, writePrivate } from '../secret/env-file.ts'

export const secrets: Command = {
  summary:
    'Secrets: "check" asks for all that the configuration refers to; "encrypt", "set" and "decrypt" are about .env.enc; "rotate" replaces the gateway\'s own.',
  verbs: { check: '', encrypt: '', set: '<name>', decrypt: '', rotate: '' },
  run: (call, world) => {
    const dir = gatewayDir(world.env, world.cwd)
    if (call.verb === 'encrypt') return encrypt(dir, world)
    if (call.verb === 'set') return set(dir, call, world)
    if (call.verb === 'rotate') return rotate(dir, world)
    return call.verb === 'decrypt' ? decrypt(dir, world) : check(dir, call, world)
  },
}

async function check(dir: string, { json }: Call, { env, out }: World): Promise<ExitCode> {
  const loaded = await loadConfig({ dir, env })
  if (!loaded.ok) {
    if (json) out.json({ ok: false, faults: loaded.faults.map((fault) => ({ ...fault })) })
    else for (const fault of loaded.faults) out.note(plain(formatFault(fault)))
    return EXIT.failed
  }
  const rows = [...loaded.origins].flatMap(([path, origin]) =>
    origin.from === 'file' ? (origin.env ?? []).map((reference) => ({ path, place: `${origin.file}:${origin.line}`, reference })) : [],
  )
  if (json) out.json({ ok: true, references: rows })
  else {
    out.table(
      rows,
      [
        { title: 'REFERENCE', cell: ({ reference }) => reference, whole: true },
        { title: 'SETTING', cell: ({ path }) => path },
        { title: 'PLACE', cell: ({ place }) => place },
      ],
      'The configuration refers to nothing.',
    )
  }
  return EXIT.ok
}

/** `.env` → `.env.enc`; what stands there already and not in `.env` stays. */
async function encrypt(dir: string, { env, out }: World): Promise<ExitCode> {
  const given = await valuesOf(join(dir, PLAIN_FILE))
  if (given === null)
    throw new CommandError(`There is no ${PLAIN_FILE} in ${dir}. To begin without one: openclaw secrets set <name>`, EXIT.missing)
  const { key, madeIn } = await envKey({ dir, env })
  const values = { ...(await valuesOf(join(dir, SEALED_FILE))) }
  for (const [name, value] of Object.entries(given)) values[name] = seal(key, name, value)
  await writeSealed(dir, values)
  out.note(`${Object.keys(given).length} values of ${PLAIN_FILE} are in ${SEALED_FILE}, encrypted. Now remove ${PLAIN_FILE}.`)
  tellKey(out, madeIn)
  return EXIT.ok
}

async function set(dir: string, { words }: Call, { env, stdin, out }: World): Promise<ExitCode> {
  const name = words[0] ?? ''
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    throw new CommandError(`"${name}" is no name of a variable: letters, digits and _.`, EXIT.usage)
  if (stdin.isTTY === true) out.note(`The value of ${name}, then Ctrl-D twice:`)
  const value = (await textOf(stdin)).replace(/\r?\n$/, '')
  if (value === '') throw new CommandError(`Nothing came on standard input. For example: openclaw secrets set ${name} < file`, EXIT.usage)
  const { key, madeIn } = await envKey({ dir, env })
  const values = { ...(await valuesOf(join(dir, SEALED_FILE))), [name]: seal(key, name, value) }
  await writeSealed(dir, values)
  out.note(`${name} is in ${SEALED_FILE}, encrypted. A gateway that runs takes it over at the next reload.`)
  tellKey(out, madeIn)
  return EXIT.ok
}

async function decrypt(dir: string, { env, out }: World): Promise<ExitCode> {
  const values = await valuesOf(join(dir, SEALED_FILE))
  if (values === null) throw new CommandError(`There is no ${SEALED_FILE} in ${dir}.`, EXIT.missing)
  const { key } = await envKey({ dir, env, mayMake: false })
  const opened = Object.entries(values).map(([name, sealed]) => {
    const value = unseal(key, name, sealed)
    if (value === null) throw new CommandError(`${name} in ${SEALED_FILE} cannot be decrypted with this key.`, EXIT.failed)
    return line(name, value)
  })
  out.write(opened.join(''))
  return EXIT.ok
}

/** The gateway itself seals anew what the former one sealed, at its next start. */
async function rotate(dir: string, { out }: World): Promise<ExitCode> {
  const file = join(dir, '.openclaw', 'secret')
  await access(file).catch((error: unknown) => {
    throw new CommandError(`There is no ${file}. The gateway makes it at its first start.`, EXIT.missing, error)
  })
  await rotateSecret(file)
  out.note('Replaced. Restart the gateway: it seals the secrets of webhooks anew, and open pages have to sign in again.')
  return EXIT.ok
}

/** null: there is no such file. */
async function valuesOf(file: string): Promise<{ [name: string]: string } | null> {
  try {
    return Object.fromEntries(Object.entries(parseEnv(await readFile(file, 'utf8'))).map(([name, value]) => [name, value ?? '']))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

async function writeSealed(dir: string, values: { readonly [name: string]: string }): Promise<void> {
  const bare = Object.keys(values).find((name) => !isSealed(values[name] ?? ''))
  if (bare !== undefined)
    throw new CommandError(`${bare} stands unencrypted in ${SEALED_FILE}. Take the line out, then set it again.`, EXIT.failed)
  const lines = Object.entries(values).map(([name, value]) => `${name}=${value}\n`)
  await writePrivate(
    join(dir, SEALED_FILE),
    `# Encrypted by "openclaw secrets". May be kept with the configuration; its key may not.\n${lines.join('')}`,
  )
}

function tellKey(out: World['out'], madeIn: string | null): void {
  if (madeIn !== null) out.note(`Its key was made in ${madeIn}. Keep a copy elsewhere: without it the values are lost.`)
}

/** As a `.env` is written: in the quotes that the value does not hold. */
function line(name: string, value: string): string {
  if (/^[\w./:@+-]*$/.test(value)) return `${name}=${value}\n`
  const quote = ["'", '"', '`'].find((mark) => !value.includes(mark) && !(mark === '"' && value.includes('\\')))
  if (quote === undefined) throw new CommandError(`${name} holds all kinds of quotes and cannot be written into a .env.`, EXIT.failed)
  return `${name}=${quote}${value}${quote}\n`
}
