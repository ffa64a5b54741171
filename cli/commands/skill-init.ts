/** `openclaw skills init`: a folder with a skill in it that works, to be changed. */
import { basename, relative, resolve } from 'node:path'
import { nearest } from '#contract'
import { ID_PATTERN, idFault } from '../../skills/descriptor/id.ts'
import type { Call, World } from '../command.ts'
import { CommandError, EXIT } from '../exit.ts'
import type { ExitCode } from '../exit.ts'
import { LANGUAGES, writeTemplate } from '../skill/template.ts'
import type { TemplateLanguage } from '../skill/template.ts'

export async function init(call: Call, { out, cwd }: World): Promise<ExitCode> {
  const dir = resolve(cwd, call.words[0] ?? '')
  const id = basename(dir).toLowerCase()
  if (!new RegExp(ID_PATTERN).test(id))
    throw new CommandError(
      `A skill cannot be called "${id}": letters, digits, dots, - and _, at most 64, a letter or digit first.`,
      EXIT.usage,
    )
  const fault = idFault(id)
  if (fault !== null) throw new CommandError(`"${id}" ${fault}.`, EXIT.usage)
  const language = call.text('language') ?? 'python'
  const files = await writeTemplate(dir, id, languageOf(language))
  const shown = relative(cwd, dir) || '.'
  if (call.json) out.json({ id, dir, language, files })
  else {
    out.note(`${shown} holds ${files.join(', ')}.`)
    out.note(`Try it: openclaw skills test ${shown}`)
  }
  return EXIT.ok
}

function languageOf(word: string): TemplateLanguage {
  const language = LANGUAGES.find((each) => each === word)
  if (language !== undefined) return language
  const guess = nearest(word, LANGUAGES)
  const hint = guess === null ? `There are ${LANGUAGES.join(', ')}.` : `Did you mean ${guess}?`
  throw new CommandError(`There is no template for "${word}". ${hint}`, EXIT.usage)
}
