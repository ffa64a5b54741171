/** What ships with the gateway keeps the rules that everybody's skills keep. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { describe, test } from 'node:test'
import { admit } from '../../../skills/bundle/admit.ts'
import { bundled } from '../../../skills/bundled/bundled.ts'
import { readDescriptor } from '../../../skills/descriptor/descriptor.ts'

describe('what ships with the gateway', () => {
  for (const skill of bundled) {
    test(`${skill.id} is a skill`, async () => {
      const admitted = await admit(await skill.load())
      assert.ok(admitted.ok, JSON.stringify(admitted))
      assert.equal(admitted.bundle.descriptor.id, skill.id)
      assert.deepEqual(admitted.bundle.descriptor, readDescriptor(skill.describe()))
    })
  }

  for (const path of globSync('skills/templates/*/skill.json', { cwd: join(import.meta.dirname, '../../..') })) {
    test(`the template for ${basename(dirname(path))} is a skill`, async () => {
      const folder = join(import.meta.dirname, '../../..', dirname(path))
      const names = globSync('**/*', { cwd: folder, withFileTypes: true }).filter((entry) => entry.isFile() && entry.name !== 'skill.json')
      const files = names.map(
        (entry) => [relative(folder, join(entry.parentPath, entry.name)), readFileSync(join(entry.parentPath, entry.name))] as const,
      )
      const text = readFileSync(join(folder, 'skill.json'), 'utf8').replaceAll(/\{\{\w+\}\}/g, 'my-skill')
      const admitted = await admit({ descriptor: JSON.parse(text), files: Object.fromEntries(files) })
      assert.ok(admitted.ok, JSON.stringify(admitted))
    })
  }
})
