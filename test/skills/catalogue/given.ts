/** Catalogues over a store on the disk, for tests. */
import type { Fault, JsonObject, NewSkill, SkillRecord } from '#contract'
import { FakeClock } from '../../support/fake-clock.ts'
import { quietLog } from '../../support/quiet-log.ts'
import { withFolder } from '../../gateway/store/given.ts'
import type { SqliteStore } from '../../../gateway/store/sqlite.ts'
import { Catalogue } from '../../../skills/catalogue/catalogue.ts'
import type { Bundled } from '../../../skills/catalogue/bundled.ts'
import type { Bundle } from '../../../skills/bundle/bundle.ts'
import { admit } from '../../../skills/bundle/admit.ts'
import { defaultSettings } from '../../../skills/settings.ts'
import type { SkillsSettings } from '../../../skills/settings.ts'
import { SEED } from '../descriptor/given.ts'

export const T = 'acme'

export interface World {
  readonly catalogue: Catalogue
  readonly store: SqliteStore
  readonly clock: FakeClock
  readonly events: { readonly name: string; readonly data: JsonObject }[]
  /** What the tests of the next skill say. */
  testFaults: readonly Fault[]
  readonly tested: Bundle[]
  settings: SkillsSettings
  /** Another catalogue over the same store, as after a restart. */
  readonly again: () => Promise<Catalogue>
}

export const code = (text: string): { readonly [path: string]: Uint8Array } => ({ 'enrich_profile.py': new TextEncoder().encode(text) })

/** The seed's, changed. */
export const skill = (version: string, change: JsonObject = {}, given: Partial<NewSkill> = {}): NewSkill => ({
  tenant: T,
  by: 'ops',
  descriptor: { ...SEED, version, ...change },
  files: code(version),
  signature: null,
  ...given,
})

const bundled = async (): Promise<Bundled> => {
  const descriptor = { ...SEED, id: 'own', version: '3.1.0' }
  const admitted = await admit({ descriptor, files: code('own') })
  if (!admitted.ok) throw new Error(JSON.stringify(admitted.faults))
  return { descriptor: admitted.bundle.descriptor, load: async () => admitted.bundle }
}

export const use = (test: (world: World) => Promise<void>): (() => Promise<void>) =>
  withFolder(async ({ open }) => {
    const store = await open()
    const clock = new FakeClock()
    const own = await bundled()
    const state: Pick<World, 'events' | 'testFaults' | 'tested' | 'settings'> = {
      events: [],
      testFaults: [],
      tested: [],
      settings: defaultSettings,
    }
    const make = async (): Promise<Catalogue> => {
      const catalogue = new Catalogue({
        store: store.skills,
        clock,
        log: quietLog,
        settings: () => state.settings,
        bundled: [own],
        async runTests(bundle) {
          state.tested.push(bundle)
          return state.testFaults
        },
        emit: (name, data) => void state.events.push({ name, data }),
      })
      await catalogue.start()
      return catalogue
    }
    const world: World = Object.assign(state, { store, clock, again: make, catalogue: await make() })
    try {
      await test(world)
    } finally {
      await world.catalogue.stop()
    }
  })

export const versionsOf = (records: readonly (SkillRecord | null)[]): readonly (string | undefined)[] =>
  records.map((record) => record?.version)
