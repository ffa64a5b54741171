/** Descriptors for tests: only what matters is said. */
import type { SkillDescriptor } from '#contract'

export const skillDescriptor = (over: Partial<SkillDescriptor> & { readonly id: string }): SkillDescriptor => ({
  version: '1.0.0',
  description: '',
  inputs: {},
  outputs: {},
  runtime: { language: 'gateway', entrypoint: '' },
  effect: 'none',
  timeoutMs: 1_000,
  resources: { memoryMb: 128, cpus: 1, pids: 64, tmpMb: 32 },
  network: { allow: [] },
  secrets: [],
  dependencies: null,
  tests: [],
  ...over,
})
