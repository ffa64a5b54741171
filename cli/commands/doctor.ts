/** `openclaw doctor`: looks at everything a gateway needs here and says what to do about what is not right. */
import { gatewayDir } from '../../gateway/config/environment.ts'
import { loadConfig } from '../../gateway/config/load.ts'
import type { Command } from '../command.ts'
import { checkConfig, checkKeyFile, checkModel, checkRuntime, checkStorage } from '../doctor/local.ts'
import type { Finding } from '../doctor/local.ts'
import { checkGateway } from '../doctor/gateway.ts'
import { checkSecrets } from '../doctor/secrets.ts'
import { checkSkills } from '../doctor/skills.ts'
import { EXIT } from '../exit.ts'

const MARKS = { ok: ['green', 'ok  '], warn: ['yellow', 'warn'], fail: ['red', 'FAIL'] } as const

export const doctor: Command = {
  summary: 'Looks at everything a gateway needs here and says what to do. Ends with 1 when something is wrong.',
  verbs: { '': '' },
  run: async ({ json }, world) => {
    const { env, cwd, out } = world
    const dir = gatewayDir(env, cwd)
    const loaded = await loadConfig({ dir, env })
    const findings: readonly Finding[] = [
      ...checkRuntime(),
      ...(await checkStorage(dir)),
      ...checkConfig(loaded),
      ...(await checkKeyFile(dir)),
      ...(await checkSecrets(dir, env)),
      ...(await checkGateway(world, loaded)),
      ...(loaded.ok ? checkModel(loaded.config, env) : []),
      ...(await checkSkills(world, loaded)),
    ]
    if (json) out.json({ dir, findings })
    for (const { state, name, detail, fix } of json ? [] : findings) {
      const [colour, mark] = MARKS[state]
      out.line(`${out.style(colour, mark)}  ${name}: ${detail}`)
      if (fix !== undefined) out.line(`      ${fix}`)
    }
    return findings.some(({ state }) => state === 'fail') ? EXIT.failed : EXIT.ok
  },
}
