/** Descriptor and files into a bundle, or all that is wrong with either and with both together. Who vouches for it, and whether it works, is for others. */
import type { Fault, JsonObject } from '#contract'
import { DescriptorParser } from '../descriptor/descriptor.ts'
import type { Bundle, Files } from './bundle.ts'
import { digestOf } from './digest.ts'
import { filesFaults } from './files.ts'

export type Admitted =
  /** `written`: the descriptor as it was written. */
  { readonly ok: true; readonly bundle: Bundle; readonly written: JsonObject } | { readonly ok: false; readonly faults: readonly Fault[] }

export async function admit(
  given: { readonly descriptor: unknown; readonly files: Files },
  parser: DescriptorParser = new DescriptorParser(),
): Promise<Admitted> {
  const parsed = await parser.parse(given.descriptor)
  const faults = filesFaults(given.files)
  if (!parsed.ok) return { ok: false, faults: [...parsed.faults, ...faults] }
  const { descriptor, written } = parsed
  const missing = missingFaults(
    [
      ['#/runtime/entrypoint', descriptor.runtime.entrypoint],
      ['#/dependencies', descriptor.dependencies],
    ],
    given.files,
  )
  if (missing.length > 0 || faults.length > 0) return { ok: false, faults: [...missing, ...faults] }
  // Never the caller's own objects: what was checked is what is run.
  const files = Object.fromEntries(Object.entries(given.files).map(([path, content]) => [path, new Uint8Array(content)]))
  return { ok: true, bundle: { digest: digestOf(written, files), descriptor, files }, written }
}

const missingFaults = (named: readonly (readonly [pointer: string, path: string | null])[], files: Files): readonly Fault[] =>
  named
    .filter(([, path]) => path !== null && !Object.hasOwn(files, path))
    .map(([pointer, path]) => ({ pointer, detail: `there is no file ${JSON.stringify(path)} in the skill` }))
