/** `openclaw skills register`: gives a folder to the gateway, signed if a key is named. */
import { isUtf8 } from 'node:buffer'
import type { JsonObject, JsonValue } from '#contract'
import type { Call, World } from '../command.ts'
import { documentIn, text } from '../document.ts'
import { EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { Remote } from '../remote.ts'
import { readSkillFolder } from '../skill/folder.ts'
import type { SkillFolder } from '../skill/folder.ts'
import { signFolder } from '../skill/signing.ts'

/** Its tests are run before it answers. */
const PATIENCE_MS = 600_000

export async function register(call: Call, world: World): Promise<ExitCode> {
  const { out, cwd } = world
  const folder = await readSkillFolder(call.words[0] ?? '.', cwd)
  const signature = call.text('sign') === undefined ? null : await signFolder(folder, call, cwd)
  const remote = await Remote.find(world)
  const { body } = await remote.ask('/v1/skills', {
    method: 'POST',
    body: {
      ...inlineSkill(folder),
      ...(signature !== null && { signature }),
      ...(call.has('skip-tests') && { skip_tests: true }),
      ...(call.has('hold') && { hold: true }),
    },
    timeoutMs: PATIENCE_MS,
  })
  const answer = documentIn(body)
  const { id, version, digest, status } = answer
  if (call.json) out.json(answer)
  else
    out.note(
      `${text(id)} ${text(version)} ${status === 'unchanged' ? 'was registered already, just so' : 'is registered'} (${text(digest)}).`,
    )
  return EXIT.ok
}

/** As `POST /v1/skills` takes it: text as it is, all else in base64. */
export function inlineSkill({ descriptor, files }: SkillFolder): { readonly descriptor: JsonValue; readonly files: JsonObject } {
  const contents = Object.entries(files).map(([path, content]): readonly [string, JsonValue] => {
    const bytes = Buffer.from(content)
    return [path, isUtf8(bytes) ? bytes.toString() : { base64: bytes.toString('base64') }]
  })
  return { descriptor, files: Object.fromEntries(contents) }
}
