/**
 * What one skill is given: hosts, secrets and grade, from what its descriptor asks for and what the operator says. A secret that
 * is asked for and not given is told by name, never silently left out.
 */
import type { SkillDescriptor } from '#contract'
import type { Grade, SkillsSettings } from '../settings.ts'

export interface Grant {
  /** `host:port` and `*.domain:port`. */
  readonly egress: readonly string[]
  readonly secrets: { readonly [name: string]: string }
  readonly grade: Grade
  /** Secrets that nobody gave. */
  readonly missing: readonly string[]
}

/** Ids are the tenants' to choose: what stands under one is given to those alone for whom the operator meant it. */
export function grantOf(
  descriptor: SkillDescriptor,
  { tenant, settings }: { readonly tenant: string; readonly settings: Pick<SkillsSettings, 'entries' | 'grade'> },
): Grant {
  const named = Object.hasOwn(settings.entries, descriptor.id) ? settings.entries[descriptor.id] : undefined
  const entry = named?.tenants.some((each) => each === tenant || each === '*') === true ? named : undefined
  const given = entry?.secrets ?? {}
  const secrets: { [name: string]: string } = {}
  const missing: string[] = []
  for (const name of descriptor.secrets) {
    const value = Object.hasOwn(given, name) ? given[name] : undefined
    if (value === undefined) missing.push(name)
    else secrets[name] = value
  }
  const egress = [...descriptor.network.allow, ...(entry?.network ?? [])].flatMap(withPorts)
  return { egress: [...new Set(egress)], secrets, grade: entry?.grade ?? settings.grade, missing }
}

/** A host without a port means the two ports of the web. */
const withPorts = (host: string): readonly string[] => (/:\d+$/.test(host) ? [host] : [`${host}:80`, `${host}:443`])
