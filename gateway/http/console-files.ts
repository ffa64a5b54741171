/**
 * The console's files. All of them are read when the gateway starts, and a path is only looked up among their names: what is not in the list
 * cannot be reached, however it is written. The pages may load nothing but what is ours.
 */
import { hash } from 'node:crypto'
import type { Dirent } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { extname, join, relative, sep } from 'node:path'
import { InvalidError } from '#contract'

const MAX_FILES = 500
const TYPES: { readonly [extension: string]: string | undefined } = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
}
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "form-action 'self'",
].join('; ')

interface File {
  readonly bytes: Buffer
  readonly etag: string
  readonly type: string
}

export class ConsoleFiles {
  readonly #files: ReadonlyMap<string, File>

  constructor(files: ReadonlyMap<string, File>) {
    this.#files = files
  }

  /** Files of known types in `folder` and below; `index.html` is `/`. No folder: no console. */
  static async read(folder: string | null): Promise<ConsoleFiles> {
    const files = new Map<string, File>()
    if (folder === null) return new ConsoleFiles(files)
    for (const entry of await entriesOf(folder)) {
      const type = TYPES[extname(entry.name)]
      if (!entry.isFile() || type === undefined) continue
      if (files.size === MAX_FILES) throw new InvalidError(`${folder} has more than ${MAX_FILES} files.`, { code: 'CONSOLE_TOO_LARGE' })
      const path = join(entry.parentPath, entry.name)
      const bytes = await readFile(path)
      const name = relative(folder, path).split(sep).join('/')
      files.set(name === 'index.html' ? '/' : `/${name}`, { bytes, type, etag: `"${hash('sha256', bytes, 'base64url').slice(0, 22)}"` })
    }
    return new ConsoleFiles(files)
  }

  /** False: not one of its files, or not a way to read one. */
  serve(request: IncomingMessage, response: ServerResponse, id: string): boolean {
    if (request.method !== 'GET' && request.method !== 'HEAD') return false
    const url = request.url ?? ''
    const mark = url.indexOf('?')
    const file = this.#files.get(mark < 0 ? url : url.slice(0, mark))
    if (file === undefined) return false
    const isKnown = request.headers['if-none-match']?.split(/, */).some((tag) => tag.replace(/^W\//, '') === file.etag) === true
    response.writeHead(isKnown ? 304 : 200, {
      ...(!isKnown && { 'content-type': file.type, 'content-length': file.bytes.length }),
      etag: file.etag,
      // Always asked again, so that an upgrade is seen at once; the answer is a 304.
      'cache-control': 'no-cache',
      'x-request-id': id,
      'content-security-policy': POLICY,
      'cross-origin-opener-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
    })
    response.end(isKnown ? undefined : file.bytes)
    return true
  }
}

async function entriesOf(folder: string): Promise<readonly Dirent[]> {
  try {
    return await readdir(folder, { recursive: true, withFileTypes: true })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
    throw error
  }
}
