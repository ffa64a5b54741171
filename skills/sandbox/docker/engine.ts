/**
 * The port to a container engine, Docker's or Podman's: the few things that sandboxes need of it. Every call is bounded in time and
 * fails at once while the engine is known to be away. What a container is made of is `profile.ts`'; who gets one, the pool's.
 */
import type { Readable, Writable } from 'node:stream'
import { UnavailableError } from '#contract'
import type { JsonObject } from '#contract'

export interface Engine {
  /** Where it is looked for. */
  readonly socket: string
  facts(): Promise<EngineFacts>
  /** As in `facts`, and known sooner. */
  name(): Promise<EngineFacts['name']>
  /** null: the engine has no such image. */
  image(tag: string): Promise<EngineImage | null>
  /** Of a container that is created and not started. */
  create(body: JsonObject): Promise<string>
  /** Standard input, output and errors. Before `start`, so that nothing is missed; also of one that runs. */
  attach(id: string): Promise<Line>
  start(id: string): Promise<void>
  /** null: there is none such any more. */
  state(id: string): Promise<ContainerState | null>
  /** Kills it first. One that is gone already, or is just going, is well. */
  remove(id: string): Promise<void>
  /** All with these labels, running or not. */
  list(labels: { readonly [name: string]: string }): Promise<readonly Listed[]>
  readonly isStopped: boolean
  /** Ends what is under way; every later call fails. */
  stop(): void
}

/** What of it keeps packages. */
export interface EngineVolumes {
  createVolume(name: string, labels: { readonly [name: string]: string }): Promise<void>
  /** True also when there is none such. @throws EngineRefusal while a container has it */
  removeVolume(name: string): Promise<boolean>
  /** Names of all with these labels. */
  volumes(labels: { readonly [name: string]: string }): Promise<readonly string[]>
}

export interface Line {
  readonly input: Writable
  readonly output: Readable
  /** The end of what it wrote to its standard error. */
  readonly complaints: () => string
  /** The container ended, or the engine did, or the connection. Never rejects. */
  readonly ended: Promise<void>
  close(): void
}

export interface ContainerState {
  readonly isRunning: boolean
  readonly isOutOfMemory: boolean
  readonly exitCode: number
}

export interface Listed {
  readonly id: string
  readonly labels: { readonly [name: string]: string }
  readonly isRunning: boolean
}

export interface EngineImage {
  readonly id: string
  readonly labels: { readonly [name: string]: string }
}

export interface EngineFacts {
  readonly name: 'Docker' | 'Podman'
  readonly version: string
  readonly runtimes: { readonly [name: string]: string }
  readonly defaultRuntime: string
  /** What the engine tells of its runc; '' when it does not. */
  readonly runcVersion: string
  readonly cgroupVersion: string
  readonly securityOptions: readonly string[]
  readonly hasPidsLimit: boolean
  readonly hasMemoryLimit: boolean
  readonly cpus: number
  readonly memoryBytes: number
}

/** The engine does not answer: not there, not allowed, too slow, or its connection broke. */
export class EngineAway extends UnavailableError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'SANDBOX_UNAVAILABLE', cause })
  }
}

/** The engine answered, and would not: no such image, no such runtime, no space. */
export class EngineRefusal extends UnavailableError {
  readonly status: number
  constructor(message: string, status: number, cause?: unknown) {
    super(message, { code: 'SANDBOX_UNAVAILABLE', cause })
    this.status = status
  }
}
