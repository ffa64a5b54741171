/** The folders that `openclaw skills init` begins with: one for each language, `{{id}}` where the skill's name belongs. */
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CommandError, EXIT } from '../exit.ts'

export const LANGUAGES = ['python', 'node', 'javascript', 'shell'] as const
export type TemplateLanguage = (typeof LANGUAGES)[number]

const TEMPLATES = new URL('../../skills/templates/', import.meta.url)

/** Writes the folder, which must be new or empty. Answers the names of what was written. */
export async function writeTemplate(dir: string, id: string, language: TemplateLanguage): Promise<readonly string[]> {
  await mkdir(dir, { recursive: true })
  if ((await readdir(dir)).length > 0) throw new CommandError(`${dir} is not empty; nothing was written.`, EXIT.failed)
  const from = new URL(`${language}/`, TEMPLATES)
  const names = (await readdir(from)).sort()
  for (const name of names) {
    const text = await readFile(new URL(name, from), 'utf8')
    await writeFile(join(dir, name), text.replaceAll('{{id}}', id), { flag: 'wx', mode: name.endsWith('.sh') ? 0o755 : 0o644 })
  }
  return names
}
