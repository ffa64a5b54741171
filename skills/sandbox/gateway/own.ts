/** The skills that are code of the gateway itself: which there are. What runs them is `gateway.ts`. */
import { canonicalDigest } from '#contract'
import type { Bundle } from '../../bundle/bundle.ts'
import { clock } from './clock.ts'
import { echo } from './echo.ts'
import type { InProcessSkill } from './in-process.ts'

export const OWN_SKILLS: readonly InProcessSkill[] = [clock, echo]

/** As the catalogue has them: a descriptor without files. */
export const ownBundles = (skills: readonly InProcessSkill[] = OWN_SKILLS): readonly Bundle[] =>
  skills.map(({ descriptor }) => ({ digest: `sha256-${canonicalDigest(descriptor)}`, descriptor, files: {} }))
