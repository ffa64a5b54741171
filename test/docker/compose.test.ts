/** What `docker/compose.yaml` says, where no engine is needed to say it. Where docker compose is at hand, it judges too. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parse } from 'yaml'

interface Service {
  readonly image: string
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly args: { readonly [name: string]: string } }
  readonly ports?: readonly string[]
  readonly privileged?: boolean
  readonly volumes?: readonly string[]
  readonly depends_on?: { readonly [name: string]: unknown }
}

const folder = join(import.meta.dirname, '..', '..', 'docker')
const file = join(folder, 'compose.yaml')
const { services } = parse(readFileSync(file, 'utf8')) as { readonly services: { readonly [name: string]: Service } }

const hasCompose = (() => {
  try {
    execFileSync('docker', ['compose', 'version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

describe('the compose file', () => {
  test('builds from files that are there, with the base as an argument and pinned to a version', () => {
    if (hasCompose) execFileSync('docker', ['compose', '-f', file, 'config', '--quiet'])
    for (const { build } of Object.values(services)) {
      if (build === undefined) continue
      const dockerfile = readFileSync(join(folder, build.context, build.dockerfile), 'utf8')
      const [, base] = /^ARG BASE=(\S+)$/m.exec(dockerfile) ?? []
      assert.match(base ?? '', /^node:\d+\.\d+\.\d+-/)
      assert.equal(build.args['BASE'], `\${BASE:-${base}}`)
    }
  })

  test('publishes on loopback only, gives nobody privileges, and depends on services that are there', () => {
    for (const { ports = [], privileged = false, depends_on: depends = {} } of Object.values(services)) {
      assert.ok(ports.every((port) => port.startsWith('127.0.0.1:')))
      assert.equal(privileged, false)
      assert.ok(Object.keys(depends).every((name) => services[name] !== undefined))
    }
  })

  test('gives the image in which skills run the name that the gateway looks for', () => {
    const settings = readFileSync(join(folder, '..', 'skills', 'settings.ts'), 'utf8')
    assert.ok(settings.includes(`image: '${services['skill-runtime']?.image}'`))
  })

  test('copies nothing that the context leaves out', () => {
    const ignored = readFileSync(join(folder, '..', '.dockerignore'), 'utf8').split('\n')
    for (const name of ['Dockerfile', 'skill-runtime/Dockerfile']) {
      for (const [, from = ''] of readFileSync(join(folder, name), 'utf8').matchAll(/^COPY (?!--from)(.+) \S+$/gm)) {
        for (const path of from.split(' ')) {
          assert.ok(existsSync(join(folder, '..', path)), path)
          assert.ok(
            ignored.some((line) => line.startsWith('!') && `${path}/`.startsWith(`${line.slice(1)}/`)),
            `${path} is left out by .dockerignore`,
          )
        }
      }
    }
  })
})
