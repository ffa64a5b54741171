/**
 * librdkafka's mock cluster, hosted by a `kcat` that reads a topic nobody writes to: one broker, in memory, gone with its process. It has groups,
 * offsets and records and needs no Java. Its Metadata names a controller that is not there, so that kafkajs's idempotent producer, which asks the
 * controller for its id, can write nothing. Knows nothing of the gateway.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { endProcess } from './child.ts'
import type { Scope } from './gateway-process.ts'
import { facilities } from './machine.ts'

const START_LIMIT_MS = 30_000
const WRITE_LIMIT_MS = 30_000
const STOP_LIMIT_MS = 5_000
const MAX_OUTPUT_CHARS = 20_000
/** Between key and value, on the input of `kcat -P`. */
const BETWEEN = '\t'

/** null: not on this machine. */
export const kcatPath = (): string | null => facilities(process.env).find(({ name }) => name === 'kcat')?.path ?? null

export interface KafkaMock {
  /** Of the one broker, `host:port`. */
  readonly address: string
  /** Resolves when the cluster has them all, in this order. */
  readonly write: (topic: string, records: readonly { readonly key: string; readonly value: string }[]) => Promise<void>
}

export async function startKafkaMock(scope: Scope, kcat: string): Promise<KafkaMock> {
  // Its address is told by the debug log alone.
  const host = spawn(kcat, ['-C', '-q', '-b', 'nowhere', '-t', 'quiet', '-X', 'test.mock.num.brokers=1', '-d', 'mock'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const killWithUs = (): void => void host.kill('SIGKILL')
  process.once('exit', killWithUs)
  scope.after(async () => {
    process.removeListener('exit', killWithUs)
    await endProcess(host, 'SIGKILL', STOP_LIMIT_MS)
  })
  const address = await new Promise<string>((resolve, reject) => {
    let said = ''
    const bound = setTimeout(() => reject(new Error(`kcat hosted no cluster; it said:\n${said}`)), START_LIMIT_MS)
    host.once('close', () => reject(new Error(`kcat ended; it said:\n${said}`)))
    // It goes on telling, and has to be read to its end.
    host.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-MAX_OUTPUT_CHARS)
      const [, found] = /bootstrap\.servers=(127\.0\.0\.1:\d+)/.exec(said) ?? []
      if (found === undefined) return
      clearTimeout(bound)
      resolve(found)
    })
  })
  return {
    address,
    async write(topic, records) {
      const producer = spawn(kcat, ['-P', '-q', '-b', address, '-t', topic, '-K', BETWEEN, '-X', 'acks=all'], {
        stdio: ['pipe', 'ignore', 'inherit'],
        timeout: WRITE_LIMIT_MS,
      })
      producer.stdin.on('error', () => {})
      producer.stdin.end(records.map(({ key, value }) => `${key}${BETWEEN}${value}\n`).join(''))
      await once(producer, 'close')
      if (producer.exitCode !== 0) throw new Error(`kcat could not write to "${topic}" (${producer.exitCode})`)
    },
  }
}
