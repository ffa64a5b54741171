/**
 * What the author or the operator of a skill can do about its failure, put after what the sandbox says of it: which limit it was and
 * where it stands, or what is missing and where it is asked for. What went wrong, and under which code, is decided before.
 */
import type { SkillDescriptor, SkillErrorCode } from '#contract'

export interface Failed {
  readonly code: SkillErrorCode
  readonly message: string
  readonly descriptor: SkillDescriptor
  /** Hosts it may reach, those of the operator included. */
  readonly egress: readonly string[]
}

const NO_PACKAGE = /ModuleNotFoundError|Cannot find (?:package|module)|cannot import "/
const NO_HOST = /name resolution|Name or service not known|EAI_AGAIN|ENOTFOUND|ENETUNREACH|Network is unreachable/
const NO_WRITING = /Read-only file system|EROFS/
const NOTHING = /nothing is not JSON|is undefined, which JSON/

/** The message, and what to do; the message alone where there is nothing to add. */
export function advised(failure: Failed): string {
  const hint = hintOf(failure)
  return hint === '' ? failure.message : `${failure.message.replace(/\.$/, '')}${hint}`
}

function hintOf({ code, message, descriptor, egress }: Failed): string {
  const { resources, timeoutMs } = descriptor
  switch (code) {
    case 'timeout':
      return message.includes(`${timeoutMs} ms`) ? ' (`timeout_ms`)' : ''
    case 'oom':
      return ` (\`resources.memory_mb\` is ${resources.memoryMb})`
    case 'pids_exhausted':
      return ` (\`resources.pids\` is ${resources.pids})`
    case 'invalid_output':
    case 'crashed':
      return hintOfWords(message, descriptor, egress)
    default:
      return ''
  }
}

function hintOfWords(message: string, { runtime, dependencies }: SkillDescriptor, egress: readonly string[]): string {
  if (NOTHING.test(message)) return '. The output is what run() returns; what it prints is log.'
  if (NO_WRITING.test(message)) return '. It can write to /tmp only.'
  if (NO_HOST.test(message) && egress.length === 0) return '. It may reach no host: `network.allow` of its descriptor names none.'
  if (!NO_PACKAGE.test(message)) return ''
  if (runtime.language === 'javascript') return '. Packages and modules of Node are there for `"language": "node"`.'
  if (dependencies !== null) return `. Is it named in ${dependencies}?`
  return '. Packages are named in a lock file: `dependencies` of its descriptor.'
}
