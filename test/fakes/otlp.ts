/**
 * A collector of traces: OTLP over HTTP as JSON (POST /v1/traces), on loopback. Keeps every span it was sent, refuses, or takes the request and
 * never answers. Imports nothing of ours.
 */
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface CollectedSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  /** '' where it is the first. */
  readonly parentSpanId: string
  readonly kind: number
  readonly isError: boolean
  readonly attributes: { readonly [name: string]: string | number | boolean }
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
}

interface OtlpValue {
  readonly stringValue?: string
  readonly intValue?: string | number
  readonly doubleValue?: number
  readonly boolValue?: boolean
}
type OtlpAttributes = readonly { readonly key: string; readonly value: OtlpValue }[]
interface OtlpSpan {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly kind: number
  readonly status?: { readonly code?: number }
  readonly attributes?: OtlpAttributes
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[]
}
interface OtlpBody {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: OtlpAttributes }
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[]
  }[]
}

export class FakeCollector {
  readonly spans: CollectedSpan[] = []
  /** Spans of each request, in order. */
  readonly batches: number[] = []
  readonly headers: IncomingHttpHeaders[] = []
  resource: CollectedSpan['attributes'] = {}
  /** What was sent, as text. */
  text = ''
  #mode: 'take' | 'refuse' | 'hang' = 'take'
  readonly #server: Server
  readonly #waiting: { readonly holds: (spans: readonly CollectedSpan[]) => boolean; resolve(): void }[] = []
  readonly #asked: (() => void)[] = []

  constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        this.headers.push(request.headers)
        for (const resolve of this.#asked.splice(0)) resolve()
        if (this.#mode === 'hang') return
        if (this.#mode === 'refuse' || request.url !== '/v1/traces' || request.method !== 'POST') {
          response.writeHead(400).end()
          return
        }
        const text = Buffer.concat(chunks).toString('utf8')
        this.text += text
        this.#take(JSON.parse(text) as OtlpBody)
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
      })
    })
  }

  /** Its base address. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  become(mode: 'take' | 'refuse' | 'hang'): void {
    this.#mode = mode
  }

  /** Resolves at the next request. */
  asked(): Promise<void> {
    return new Promise((resolve) => this.#asked.push(resolve))
  }

  /** Resolves once this holds of all spans so far. */
  until(holds: (spans: readonly CollectedSpan[]) => boolean, withinMs = 20_000): Promise<void> {
    if (holds(this.spans)) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`only ${this.spans.map(({ name }) => name).join(', ')}`)), withinMs)
      this.#waiting.push({
        holds,
        resolve: () => {
          clearTimeout(timer)
          resolve()
        },
      })
    })
  }

  #take({ resourceSpans }: OtlpBody): void {
    let count = 0
    for (const { resource, scopeSpans } of resourceSpans) {
      this.resource = valuesOf(resource.attributes)
      for (const { spans } of scopeSpans) {
        for (const { name, traceId, spanId, parentSpanId, kind, status, attributes, links } of spans) {
          count++
          this.spans.push({
            name,
            traceId,
            spanId,
            parentSpanId: parentSpanId ?? '',
            kind,
            isError: status?.code === 2,
            attributes: valuesOf(attributes ?? []),
            links: links ?? [],
          })
        }
      }
    }
    this.batches.push(count)
    for (const wait of this.#waiting.filter(({ holds }) => holds(this.spans))) {
      this.#waiting.splice(this.#waiting.indexOf(wait), 1)
      wait.resolve()
    }
  }
}

const valuesOf = (attributes: OtlpAttributes): CollectedSpan['attributes'] =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      value.stringValue ?? value.boolValue ?? value.doubleValue ?? (value.intValue === undefined ? '' : Number(value.intValue)),
    ]),
  )
