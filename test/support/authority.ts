/** A certificate authority in a temporary folder, by the openssl program: for servers and clients that prove who they are by TLS. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Scope } from './gateway-process.ts'

const run = promisify(execFile)

export interface Pair {
  /** Paths of PEM files. */
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
  /** `sha256/<base64>` of the public key. */
  readonly pin: string
}

export class Authority {
  readonly dir: string
  readonly certFile: string
  readonly #keyFile: string
  #count = 0

  private constructor(dir: string) {
    this.dir = dir
    this.certFile = join(dir, 'ca.pem')
    this.#keyFile = join(dir, 'ca.key')
  }

  static async create(scope: Scope): Promise<Authority> {
    const dir = await mkdtemp(join(tmpdir(), 'openclaw-ca-'))
    scope.after(() => rm(dir, { recursive: true, force: true }))
    const made = new Authority(dir)
    await openssl('req', '-x509', ...EC, '-keyout', made.#keyFile, '-out', made.certFile, '-days', '3650', '-subj', '/CN=test authority')
    return made
  }

  /** `san` as openssl writes it: `URI:spiffe://acme/worker`, `DNS:localhost,IP:127.0.0.1`. `days` below 0: expired. */
  async issue(san: string, days = 3_650): Promise<Pair> {
    const base = join(this.dir, `${++this.#count}`)
    await openssl('req', '-new', ...EC, '-keyout', `${base}.key`, '-out', `${base}.csr`, '-subj', '/CN=same for all')
    await writeFile(`${base}.ext`, `subjectAltName=${san}\n`)
    const signing = ['-CA', this.certFile, '-CAkey', this.#keyFile, '-CAcreateserial', '-extfile', `${base}.ext`, '-days', String(days)]
    await openssl('x509', '-req', '-in', `${base}.csr`, ...signing, '-out', `${base}.pem`)
    const { stdout } = await run('sh', [
      '-c',
      `openssl x509 -in ${base}.pem -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | openssl base64`,
    ])
    const [cert, key] = await Promise.all([readFile(`${base}.pem`, 'utf8'), readFile(`${base}.key`, 'utf8')])
    return { certFile: `${base}.pem`, keyFile: `${base}.key`, cert, key, pin: `sha256/${stdout.trim()}` }
  }
}

const EC = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
const openssl = async (...args: readonly string[]): Promise<void> => void (await run('openssl', args))
