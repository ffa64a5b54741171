/** A client of the gateway's gRPC service, made of its `.proto` by the library itself: nothing of ours decodes or encodes. */
import { once } from 'node:events'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const PROTO = join(import.meta.dirname, '../../../gateway/grpc/openclaw/v1/gateway.proto')
const loaded = grpc.loadPackageDefinition(loadSync(PROTO, { keepCase: true, longs: Number, enums: String, oneofs: true }))

export type Message = { readonly [name: string]: unknown }
type Unary = (
  request: object,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  done: (error: grpc.ServiceError | null, reply: Message) => void,
) => grpc.ClientUnaryCall

export interface Service extends grpc.Client {
  readonly Publish: Unary
  readonly InvokeAgent: Unary
  readonly InvokeSkill: Unary
  Subscribe(request: object, metadata: grpc.Metadata): grpc.ClientReadableStream<Message>
  Chat(metadata: grpc.Metadata): grpc.ClientDuplexStream<object, Message>
}

export interface Client {
  readonly service: Service
  /** With the key unless another or none (null) is given. */
  meta(more?: { readonly [name: string]: string }, key?: string | null): grpc.Metadata
  ask(
    method: 'Publish' | 'InvokeAgent' | 'InvokeSkill',
    request: object,
    options?: { readonly metadata?: grpc.Metadata; readonly deadline?: number; readonly began?: (call: grpc.ClientUnaryCall) => void },
  ): Promise<{ readonly reply: Message; readonly metadata: grpc.Metadata }>
}

export type Credentials = grpc.ChannelCredentials

export function clientOf(
  address: string,
  key: string,
  credentials: Credentials = grpc.credentials.createInsecure(),
  options: grpc.ClientOptions = {},
): Client {
  const { Gateway } = (loaded['openclaw'] as unknown as { v1: { Gateway: new (...args: unknown[]) => Service } }).v1
  const service = new Gateway(address, credentials, options)
  const meta: Client['meta'] = (more = {}, other = key) => {
    const metadata = new grpc.Metadata()
    if (other !== null) metadata.set('authorization', `Bearer ${other}`)
    for (const [name, value] of Object.entries(more)) metadata.add(name, value)
    return metadata
  }
  return {
    service,
    meta,
    ask: (method, request, { metadata = meta(), deadline, began } = {}) =>
      new Promise((resolve, reject) => {
        let headers = new grpc.Metadata()
        let trailers = new grpc.Metadata()
        const options = deadline === undefined ? {} : { deadline: Date.now() + deadline }
        const call = service[method].call(service, request, metadata, options, (error, reply) => {
          if (error !== null) return reject(error)
          // The status comes after the answer, and with it the trailers.
          call.on('status', () => {
            headers.merge(trailers)
            resolve({ reply, metadata: headers })
          })
        })
        call.on('metadata', (given) => (headers = given))
        call.on('status', (status) => (trailers = status.metadata))
        began?.(call)
      }),
  }
}

/** What a call was refused with. */
export interface Refusal {
  readonly status: string
  readonly code: string
  readonly problem: Message
  readonly details: string
  readonly metadata: grpc.Metadata
}

export function refusalOf(error: unknown): Refusal {
  const { code, details, metadata } = error as grpc.ServiceError
  const [problem] = metadata.get('openclaw-problem-bin')
  return {
    status: grpc.status[code] ?? String(code),
    code: String(metadata.get('openclaw-code')[0] ?? ''),
    problem: problem === undefined ? {} : (JSON.parse(problem.toString()) as Message),
    details,
    metadata,
  }
}

export const refused = (asking: Promise<unknown>): Promise<Refusal> =>
  asking.then(
    () => Promise.reject(new Error('It was not refused.')),
    (error: unknown) => refusalOf(error),
  )

/** The messages of a stream, one after the other; the end is its error. */
export async function* readAll(
  stream: grpc.ClientReadableStream<Message> | grpc.ClientDuplexStream<object, Message>,
): AsyncGenerator<Message> {
  for await (const message of stream) yield message as Message
}

export async function endOf(stream: grpc.ClientReadableStream<Message> | grpc.ClientDuplexStream<object, Message>): Promise<Refusal> {
  stream.resume()
  const [error] = await once(stream, 'error')
  return refusalOf(error)
}

/** JSON as `google.protobuf.Value` has it. */
export function value(json: unknown): object {
  if (json === null) return { nullValue: 0 }
  if (typeof json === 'string') return { stringValue: json }
  if (typeof json === 'number') return { numberValue: json }
  if (typeof json === 'boolean') return { boolValue: json }
  return Array.isArray(json) ? { listValue: { values: json.map(value) } } : { structValue: struct(json as object) }
}
export const struct = (json: object): object => ({
  fields: Object.fromEntries(Object.entries(json).map(([name, member]) => [name, value(member)])),
})
