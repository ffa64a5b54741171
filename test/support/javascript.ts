/** JavaScript skills in tests: a sandbox that runs them, jobs made of a few lines of code, and what they said meanwhile. */
import { createHash } from 'node:crypto'
import type { JsonValue, SkillEvent, SkillOutcome } from '#contract'
import type { Bundle } from '../../skills/bundle/bundle.ts'
import type { Job } from '../../skills/sandbox/sandbox.ts'
import type { Grade } from '../../skills/settings.ts'
import { skillDescriptor } from './skill.ts'

export interface JobOptions {
  readonly input?: JsonValue
  readonly files?: { readonly [path: string]: string }
  readonly secrets?: { readonly [name: string]: string }
  readonly egress?: readonly string[]
  readonly timeoutMs?: number
  readonly memoryMb?: number
  readonly grade?: Grade
  readonly tenant?: string
  readonly signal?: AbortSignal
  readonly tell?: (event: SkillEvent) => void
  readonly call?: (skill: string, input: JsonValue) => Promise<SkillOutcome>
}

/** A bundle of text files; `main.js` is the entrypoint. */
function scriptBundle(files: { readonly [path: string]: string }, memoryMb = 64): Bundle {
  const bytes = Object.entries(files).map(([path, text]) => [path, Buffer.from(text)] as const)
  return {
    digest: `sha256-${createHash('sha256').update(JSON.stringify(files)).digest('hex')}`,
    descriptor: skillDescriptor({
      id: 'tried',
      runtime: { language: 'javascript', entrypoint: 'main.js' },
      timeoutMs: 2_000,
      resources: { memoryMb, cpus: 1, pids: 8, tmpMb: 16 },
    }),
    files: Object.fromEntries(bytes),
  }
}

/** `code`: the text of `main.js`. */
export function scriptJob(code: string, options: JobOptions = {}): Job {
  return {
    key: 'key-1',
    tenant: options.tenant ?? 'default',
    bundle: scriptBundle({ 'main.js': code, ...options.files }, options.memoryMb),
    input: options.input ?? {},
    secrets: options.secrets ?? {},
    egress: options.egress ?? [],
    grade: options.grade ?? 'lease',
    timeoutMs: options.timeoutMs ?? 2_000,
    traceparent: null,
    signal: options.signal ?? new AbortController().signal,
    tell: options.tell ?? ((): void => {}),
    call: options.call ?? (() => Promise.resolve({ status: 'error', code: 'not_found', message: 'there is no other skill here' })),
  }
}
