/** A skill as one file, both ways. Which bytes are read and within what bounds stands in `archive.ts`. */
import { InvalidError } from '#contract'
import type { SkillArchives } from '#contract'
import { readArchive, takeDescriptor } from './archive.ts'
import { writeArchive } from './archive-writer.ts'
import type { Files } from './bundle.ts'

export type Skill = Awaited<ReturnType<SkillArchives['read']>>

export const archives: SkillArchives = {
  async read(archive) {
    const read = await readArchive(archive)
    if (!read.ok) throw invalid(read.faults)
    return await skillOf(read.files)
  },
  write: writeArchive,
}

/** Of a folder that was read whole. @throws InvalidError when nothing in it is a skill */
export async function skillOf(all: Files): Promise<Skill> {
  const taken = takeDescriptor(all)
  if (!taken.ok) throw invalid(taken.faults)
  const { descriptor, files } = taken
  return { descriptor, files }
}

function invalid(faults: InvalidError['faults']): InvalidError {
  return new InvalidError('The archive holds no skill that can be read; see `errors`.', { code: 'SKILL_INVALID', faults })
}
