/** A skill as one file, both ways. Which bytes are read and within what bounds stands in `archive.ts`. */
import { InvalidError } from '#contract'
import type { SkillArchives } from '#contract'
import { isAgentSkill, readAgentSkill } from '../agent-skill/agent-skill.ts'
import { readArchive, takeDescriptor } from './archive.ts'
import { writeArchive } from './archive-writer.ts'

export const archives: SkillArchives = {
  async read(archive) {
    const read = await readArchive(archive)
    if (!read.ok) throw invalid(read.faults)
    const taken = isAgentSkill(read.files) ? await readAgentSkill({ files: read.files }) : takeDescriptor(read.files)
    if (!taken.ok) throw invalid(taken.faults)
    const { descriptor, files } = taken
    return { descriptor, files }
  },
  write: writeArchive,
}

const invalid = (faults: InvalidError['faults']): InvalidError =>
  new InvalidError('The archive holds no skill that can be read; see `errors`.', { code: 'SKILL_INVALID', faults })
