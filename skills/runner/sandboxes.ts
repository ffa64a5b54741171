/**
 * Which sandbox a language runs in, as the operator says. Sandboxes are made and started when they are first needed. What nothing can
 * run is refused with words on what to install: no skill ever runs outside of one.
 */
import type { Clock, Lifecycle, SandboxReport, SkillLanguage } from '#contract'
import { describeError } from '#contract'
import type { Adoption, Ended, Sandbox } from '../sandbox/sandbox.ts'
import type { SkillsSettings } from '../settings.ts'

export type SandboxName = Sandbox['name']

export interface SandboxesOptions {
  readonly settings: Pick<SkillsSettings, 'sandbox'>
  /** How each is made; one that is not there cannot be had in this build. */
  readonly make: { readonly [name in SandboxName]?: () => Promise<Sandbox> }
  readonly clock: Clock
  /** Once for each, before it is used: a later life has to look for what it left. */
  readonly onUse?: (name: SandboxName) => Promise<void>
}

export type Found = { readonly sandbox: Sandbox } | { readonly reason: string }

/** How long "nothing here can run it" is believed. */
const RECHECK_MS = 15_000

const INSTALL =
  'Install Docker (or Podman with its socket) for containers, or bubblewrap (`apt install bubblewrap`) on Linux; ' +
  '`openclaw doctor` says more. Skills in `javascript` run without either.'

export class Sandboxes implements Pick<Lifecycle, 'stop'> {
  readonly #options: SandboxesOptions
  readonly #made = new Map<SandboxName, Promise<Sandbox>>()
  #chosen: { readonly found: Promise<Found>; readonly at: number } | null = null
  #reviving: Promise<void> = Promise.resolve()
  #isStopped = false

  constructor(options: SandboxesOptions) {
    this.#options = options
  }

  /** Never rejects. */
  async for(language: SkillLanguage): Promise<Found> {
    if (language === 'gateway') return this.#only('gateway')
    if (language === 'javascript') return this.#only('quickjs')
    const now = this.#options.clock.now()
    const before = this.#chosen
    if (before !== null) {
      const found = await before.found
      // One that was found is kept: a change of what isolates, unnoticed, would be none that somebody decided.
      if ('sandbox' in found || now - before.at < RECHECK_MS) return found
    }
    if (this.#chosen === before) this.#chosen = { found: this.#choose(), at: now }
    return (this.#chosen ?? { found: this.#choose() }).found
  }

  async reports(): Promise<readonly SandboxReport[]> {
    const names: readonly SandboxName[] = ['docker', 'bubblewrap', 'quickjs', 'gateway']
    const reports = await Promise.all(names.map((name) => this.#report(name)))
    return reports.filter((report) => report !== null)
  }

  /** The run of a former life, in whichever sandbox it is. */
  async adopt(key: string, adoption: Adoption): Promise<Ended | null> {
    await this.#reviving
    for (const made of this.#made.values()) {
      const sandbox = await made.catch(() => null)
      const ended = (await sandbox?.adopt(key, adoption)) ?? null
      if (ended !== null) return ended
    }
    return null
  }

  /** Makes those that a former life used, so that what it left is found; nobody is told that there is nothing to adopt before. */
  revive(names: readonly SandboxName[]): void {
    const all = Promise.all(names.map((name) => this.#need(name).catch(() => undefined)))
    this.#reviving = all.then(() => undefined)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all([...this.#made.values()].map((made) => made.then((sandbox) => sandbox.stop()).catch(() => undefined)))
  }

  async #choose(): Promise<Found> {
    const { sandbox } = this.#options.settings
    if (sandbox === 'none') return { reason: 'The operator allows no sandbox for this language (`skills.sandbox: none`).' }
    if (sandbox !== 'auto') return this.#available(sandbox)
    const docker = await this.#available('docker')
    if ('sandbox' in docker) return docker
    const bubblewrap = await this.#available('bubblewrap')
    if ('sandbox' in bubblewrap) return bubblewrap
    return { reason: `Nothing here can run it safely. ${docker.reason} ${bubblewrap.reason} ${INSTALL}` }
  }

  async #available(name: SandboxName): Promise<Found> {
    const report = await this.#report(name)
    if (report === null) return { reason: `There is no ${name} in this build.` }
    if (!report.isAvailable) return { reason: `${name}: ${report.reason ?? 'cannot be used'}.` }
    return this.#only(name)
  }

  async #only(name: SandboxName): Promise<Found> {
    try {
      return { sandbox: await this.#need(name) }
    } catch (error) {
      return { reason: `${name}: ${describeError(error).message}` }
    }
  }

  async #report(name: SandboxName): Promise<SandboxReport | null> {
    if (this.#options.make[name] === undefined) return null
    try {
      return await (await this.#need(name)).report()
    } catch (error) {
      const reason = describeError(error).message
      return { name, languages: [], isAvailable: false, reason, isolates: [], leaves: [], warnings: [], facts: {} }
    }
  }

  #need(name: SandboxName): Promise<Sandbox> {
    const known = this.#made.get(name)
    if (known !== undefined) return known
    const made = this.#make(name)
    this.#made.set(name, made)
    // One that could not be started is tried again by whoever comes next.
    made.catch(() => this.#made.delete(name))
    return made
  }

  async #make(name: SandboxName): Promise<Sandbox> {
    const make = this.#options.make[name]
    if (make === undefined) throw new Error('it is not part of this build')
    if (this.#isStopped) throw new Error('the gateway is stopping')
    await this.#options.onUse?.(name)
    const sandbox = await make()
    await sandbox.start()
    return sandbox
  }
}
