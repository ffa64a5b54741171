/** `openclaw skills`: what there is to it, and which file does it. Each is loaded when it is asked for. */
import type { Call, Command, World } from '../command.ts'
import type { ExitCode } from '../exit.ts'

type Action = (call: Call, world: World) => Promise<ExitCode>

const ACTIONS: { readonly [verb: string]: { readonly words: string; readonly load: () => Promise<Action> } } = {
  list: { words: '[words]', load: async () => (await import('./skill-list.ts')).list },
  show: { words: '<id>', load: async () => (await import('./skill-list.ts')).show },
  versions: { words: '<id>', load: async () => (await import('./skill-list.ts')).versions },
  init: { words: '<folder>', load: async () => (await import('./skill-init.ts')).init },
  validate: { words: '[folder]', load: async () => (await import('./skill-local.ts')).validate },
  test: { words: '[folder]', load: async () => (await import('./skill-local.ts')).test },
  sign: { words: '[folder]', load: async () => (await import('./skill-local.ts')).sign },
  register: { words: '[folder]', load: async () => (await import('./skill-register.ts')).register },
  invoke: { words: '<id> [-]', load: async () => (await import('./skill-invoke.ts')).invoke },
  runs: { words: '[id]', load: async () => (await import('./skill-runs.ts')).runs },
  run: { words: '<run>', load: async () => (await import('./skill-runs.ts')).run },
  logs: { words: '<run>', load: async () => (await import('./skill-runs.ts')).logs },
  cancel: { words: '<run>', load: async () => (await import('./skill-runs.ts')).cancel },
  promote: { words: '<id> <version>', load: async () => (await import('./skill-rollout.ts')).promote },
  rollback: { words: '<id> <major>', load: async () => (await import('./skill-rollout.ts')).rollback },
  canary: { words: '<id> <version> <weight>', load: async () => (await import('./skill-rollout.ts')).canary },
  enable: { words: '<id> <version>', load: async () => (await import('./skill-rollout.ts')).enable },
  disable: { words: '<id> <version>', load: async () => (await import('./skill-rollout.ts')).disable },
  deprecate: { words: '<id> <version> [note]', load: async () => (await import('./skill-rollout.ts')).deprecate },
  remove: { words: '<id> [version]', load: async () => (await import('./skill-rollout.ts')).remove },
  runtime: { words: '', load: async () => (await import('./skill-runtime.ts')).runtime },
}

export const skills: Command = {
  summary: 'Skills: written, tested, registered, called, rolled out. "init", "validate", "test" and "sign" need no gateway.',
  verbs: Object.fromEntries(Object.entries(ACTIONS).map(([verb, { words }]) => [verb, words])),
  options: {
    language: { value: 'NAME', help: 'init: python (default), node, javascript or shell' },
    version: { value: 'RANGE', help: 'invoke, list: a version, a major or a range' },
    input: { value: 'JSON', help: 'invoke: the input; - reads it from standard input' },
    async: { help: 'invoke: print the id of the run instead of waiting' },
    follow: { help: 'invoke, logs: show progress and logs while it runs' },
    key: { value: 'TEXT', help: 'invoke: idempotency key; the same again is the same run' },
    timeout: { value: 'SECONDS', help: 'invoke: how long it may run' },
    sign: { value: 'FILE', help: 'sign, register: private key (PEM, Ed25519)' },
    kid: { value: 'NAME', help: 'sign, register: name of the key in skills.signatures.keys' },
    hold: { help: 'register: wait for canary or promote, also where it is newer than what is stable' },
    'skip-tests': { help: 'register: although a test fails or cannot be run there' },
    status: { value: 'STATUS', help: 'runs: queued, running, done, failed, unknown or dead' },
    limit: { value: 'N', help: 'list, runs: how many (20)' },
  },
  run: async (call, world) => {
    const action = await (ACTIONS[call.verb] ?? ACTIONS['list'])?.load()
    if (action === undefined) throw new Error(`There is no action ${call.verb}.`)
    return await action(call, world)
  },
}
