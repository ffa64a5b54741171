/** The page's modules are checked by the compiler although nothing compiles them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import test from 'node:test'

const root = fileURLToPath(new URL('../../', import.meta.url))

test('the types of the page are right', () => {
  const { stdout, stderr } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'console'], {
    cwd: root,
    encoding: 'utf8',
  })
  assert.equal(stdout + stderr, '')
})

test('every module asks to be checked, and nothing in the page writes markup from data or holds inline code', () => {
  for (const name of readdirSync(new URL('../../console/', import.meta.url))) {
    const content = readFileSync(new URL(`../../console/${name}`, import.meta.url), 'utf8')
    if (name.endsWith('.js')) {
      assert.ok(content.startsWith('// @ts-check\n'), name)
      assert.doesNotMatch(content, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|localStorage/, name)
    }
    if (name.endsWith('.html')) assert.doesNotMatch(content, /<script(?! type="module" src=)|<style|\sstyle=|\son[a-z]+=/, name)
  }
})
