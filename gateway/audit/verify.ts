/**
 * Whether a chain is as it was written: every entry is hashed again, from the seal (or the beginning) to the end, and the end is held
 * against the checkpoints that were told outside. Reads a thousand entries at a time, so that it holds nothing up.
 */
import { setImmediate as turn } from 'node:timers/promises'
import { AUDIT_ROOT, auditHash, headSignature, sealSignature } from '#contract'
import type { AuditHead, AuditStore, AuditVerdict } from '#contract'

type Broken = 'seal forged' | 'entry missing' | 'entry altered' | 'end cut off' | 'history replaced'

/** An end of a chain as it once was. */
export interface Checkpoint extends AuditHead {
  readonly at: number
  readonly signature: string
}

const AT_ONCE = 1_000

export interface Verifying {
  readonly store: Pick<AuditStore, 'after' | 'sealOf'>
  readonly key: Uint8Array
  readonly tenant: string
  readonly checkpoints: readonly Checkpoint[]
  /** Up to this entry, instead of the end. */
  readonly until?: number
}

export async function verifyChain(options: Verifying): Promise<AuditVerdict> {
  for (;;) {
    const verdict = await look(options)
    // What a seal covered in the midst of it is missing rightly.
    if (verdict.ok || verdict.sealed === ((await options.store.sealOf(options.tenant))?.seq ?? 0)) return verdict
  }
}

async function look(options: Verifying): Promise<AuditVerdict> {
  const { store, key, tenant, until = Infinity } = options
  const seal = await store.sealOf(tenant)
  const due = options.checkpoints
    .filter((point) => point.tenant === tenant && point.signature === headSignature(key, headOf(point), point.at))
    .toSorted((a, b) => a.seq - b.seq)
  const sealed = seal?.seq ?? 0
  let head: AuditHead | null = seal === null ? null : { tenant, seq: seal.seq, hash: seal.hash }
  let entries = 0
  let checkpoints = 0
  const verdict = (fault: { readonly seq: number; readonly reason: Broken } | null): AuditVerdict => ({
    tenant,
    ok: fault === null,
    entries,
    sealed,
    head,
    checkpoints,
    fault,
  })
  if (seal !== null) {
    const { signature, ...covered } = seal
    if (signature !== sealSignature(key, covered)) return verdict({ seq: seal.seq, reason: 'seal forged' })
  }
  while (due[0] !== undefined && due[0].seq <= sealed) due.shift()
  for (;;) {
    const rows = await store.after(tenant, head?.seq ?? 0, Math.min(AT_ONCE, until - (head?.seq ?? 0)))
    for (const row of rows) {
      const seq = (head?.seq ?? 0) + 1
      if (row.seq !== seq || row.prevHash !== (head?.hash ?? AUDIT_ROOT)) return verdict({ seq, reason: 'entry missing' })
      if (auditHash(key, row) !== row.hash) return verdict({ seq, reason: 'entry altered' })
      entries += 1
      head = { tenant, seq, hash: row.hash }
      for (; due[0]?.seq === seq; due.shift(), checkpoints += 1)
        if (due[0].hash !== row.hash) return verdict({ seq, reason: 'history replaced' })
    }
    if (rows.length < AT_ONCE || (head?.seq ?? 0) >= until) break
    await turn()
  }
  if (until !== Infinity) return verdict(null)
  const [next] = due.filter((point) => point.seq > (head?.seq ?? 0))
  return verdict(next === undefined ? null : { seq: next.seq, reason: 'end cut off' })
}

const headOf = ({ tenant, seq, hash }: AuditHead): AuditHead => ({ tenant, seq, hash })
