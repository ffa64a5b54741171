/** How a call ended, where its conversation alone does not tell: what its container died of, and which ways out were denied to it. */
import { describeError } from '#contract'
import type { SkillOutcome } from '#contract'
import { judgeDenials } from '../../egress/egress.ts'
import { failed } from '../call.ts'
import type { CellEnded } from '../call.ts'
import type { Box } from './box.ts'
import type { Engine } from './engine.ts'

export interface JudgeOptions {
  readonly engine: Engine
  readonly isStopping: boolean
}

/** Asks the engine only after a container that ended. Never rejects. */
export async function judge(box: Box, { outcome, hasStarted }: CellEnded, { engine, isStopping }: JudgeOptions): Promise<SkillOutcome> {
  const denials = box.door?.end()
  const { state } = box.cell
  if (outcome.status === 'ok' || outcome.code === 'cancelled' || state.is !== 'broken' || state.why !== 'ended') {
    return denials === undefined ? outcome : judgeDenials(outcome, denials)
  }
  if (isStopping) return failed('unavailable', 'the gateway stopped while it ran')
  try {
    const found = await engine.state(box.id)
    if (found?.isOutOfMemory === true) return failed('oom', 'it used more memory than it may, and its container was ended')
    if (found === null || found.isRunning) return failed('unavailable', 'the connection to its container was lost')
    if (!hasStarted) return failed('unavailable', `its container ended (exit code ${found.exitCode}) before it began`)
    const said = box.complaints().trim().slice(-300)
    return failed('crashed', `its container ended (exit code ${found.exitCode})${said === '' ? '' : `: ${said}`}`)
  } catch (error) {
    return failed('unavailable', describeError(error).message)
  }
}
