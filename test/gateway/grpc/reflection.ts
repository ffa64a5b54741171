/** Asks a server what services it has and how they are, by the public protocols alone (grpc.reflection.v1, grpc.health.v1). */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { protoPath } from 'grpc-health-check'

const REFLECTION = join(dirname(createRequire(import.meta.url).resolve('@grpc/reflection')), '../proto/grpc/reflection/v1/reflection.proto')

export class GrpcReflection {
  readonly #reflection: grpc.Client
  readonly #health: grpc.Client

  constructor(address: string, credentials: grpc.ChannelCredentials = grpc.credentials.createInsecure()) {
    const clientOf = (path: string, service: string): grpc.Client => {
      const definition = loadSync(path, { keepCase: true, enums: String })[service]
      const Client = grpc.makeClientConstructor(definition as unknown as grpc.ServiceDefinition, service)
      return new Client(address, credentials)
    }
    this.#reflection = clientOf(REFLECTION, 'grpc.reflection.v1.ServerReflection')
    this.#health = clientOf(protoPath, 'grpc.health.v1.Health')
  }

  services(): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      const ask = this.#reflection as unknown as { ServerReflectionInfo(): grpc.ClientDuplexStream<object, object> }
      const stream = ask.ServerReflectionInfo()
      stream.on('error', reject)
      stream.on('data', (answer: { list_services_response: { service: { name: string }[] } }) => {
        resolve(answer.list_services_response.service.map(({ name }) => name))
        stream.end()
      })
      stream.write({ list_services: '' })
    })
  }

  health(service: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const ask = this.#health as unknown as {
        Check(request: object, done: (error: Error | null, answer: { status: string }) => void): void
      }
      ask.Check({ service }, (error, answer) => (error === null ? resolve(answer.status) : reject(error)))
    })
  }

  close(): void {
    this.#reflection.close()
    this.#health.close()
  }
}
