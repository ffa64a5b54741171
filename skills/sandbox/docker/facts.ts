/** What engines tell about themselves, read from what nobody promises: Docker and Podman differ, and so do their versions. */
import type { EngineFacts } from './engine.ts'

type Told = { readonly [key: string]: unknown }

/** @param info of `GET /info` @param version of `GET /version` */
export function readFacts(info: unknown, version: unknown): EngineFacts {
  const [told, { Components, Version }] = [tableOf(info), tableOf(version)]
  const components = Array.isArray(Components) ? Components.map(tableOf) : []
  const options = told['SecurityOptions']
  return {
    name: components.some(({ Name }) => text(Name).startsWith('Podman')) ? 'Podman' : 'Docker',
    version: text(Version) || text(told['ServerVersion']),
    runtimes: Object.fromEntries(
      Object.entries(tableOf(told['Runtimes'])).map(([name, runtime]) => [name, text(tableOf(runtime)['path'])]),
    ),
    defaultRuntime: text(told['DefaultRuntime']),
    runcVersion: text(components.find(({ Name }) => Name === 'runc')?.['Version']),
    cgroupVersion: text(told['CgroupVersion']) || '1',
    securityOptions: Array.isArray(options) ? options.map(text) : [],
    // An engine that says nothing of it is not accused.
    hasPidsLimit: told['PidsLimit'] !== false,
    hasMemoryLimit: told['MemoryLimit'] !== false,
    cpus: Number(told['NCPU'] ?? 0),
    memoryBytes: Number(told['MemTotal'] ?? 0),
  }
}

const tableOf = (value: unknown): Told => (typeof value === 'object' && value !== null ? { ...value } : {})
const text = (value: unknown): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')
