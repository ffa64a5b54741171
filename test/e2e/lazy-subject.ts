/** The gateway, which notes every package and every file of skills that it loads, and tells when it has stopped. */
import { writeFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'

const packages = new Set<string>()
registerHooks({
  resolve(specifier, context, next) {
    const found = next(specifier, context)
    const name = (/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(found.url) ?? /\/(skills\/.+\.ts)$/.exec(found.url))?.[1]
    if (name !== undefined) packages.add(name)
    return found
  },
})
const { serve } = await import('../../gateway/run.ts')
await serve({ env: process.env, print: (line) => void process.stdout.write(`${line}\n`) })
writeFileSync(join(process.env['OPENCLAW_DIR'] ?? '.', 'packages.json'), JSON.stringify([...packages]))
process.exit(0)
