/** What this machine has beyond Node that tests can use, and how they learn of it. */
import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, resolve } from 'node:path'
import { hasKafkaJars } from './kafka-jars.ts'

export interface Facility {
  readonly name: string
  /** What tests are told by, and what an operator may set. */
  readonly variable: string
  /** Where it was found; null: not here. */
  readonly path: string | null
  readonly neededFor: string
}

interface Wanted {
  readonly name: string
  readonly variable: string
  readonly programs: readonly string[]
  /** What else has to be here. */
  readonly also?: (env: NodeJS.ProcessEnv) => boolean
  /** A socket on which it listens already; better than a program. */
  readonly sockets?: readonly string[]
  readonly neededFor: string
}

const WANTED: readonly Wanted[] = [
  { name: 'Chromium', variable: 'CHROMIUM_PATH', programs: ['chromium', 'chromium-browser', 'google-chrome'], neededFor: 'test/console' },
  { name: 'Mosquitto', variable: 'MOSQUITTO_PATH', programs: ['mosquitto'], neededFor: 'test/channels/mqtt' },
  {
    name: 'RabbitMQ',
    variable: 'RABBITMQ_SERVER_PATH',
    // The first is what Debian's own `rabbitmq-server` starts as another user.
    programs: ['/usr/lib/rabbitmq/bin/rabbitmq-server', 'rabbitmq-server'],
    neededFor: 'test/channels/amqp',
  },
  {
    name: 'Kafka',
    variable: 'KAFKA_JAVA',
    programs: ['java'],
    also: (env) => hasKafkaJars(env) || find(['mvn'], env['PATH'] ?? '') !== null,
    neededFor: 'test/channels/kafka',
  },
  { name: 'kcat', variable: 'KCAT_PATH', programs: ['kcat'], neededFor: 'test/channels/kafka/mock' },
  { name: 'bubblewrap', variable: 'BWRAP_PATH', programs: ['/usr/bin/bwrap'], neededFor: 'test/skills/sandbox/bubblewrap' },
  { name: 'promtool', variable: 'PROMTOOL_PATH', programs: ['promtool'], neededFor: 'test/deploy' },
  { name: 'schemathesis', variable: 'SCHEMATHESIS_PATH', programs: ['schemathesis'], neededFor: 'test/e2e/schemathesis' },
  {
    name: 'Docker',
    variable: 'OPENCLAW_TEST_DOCKER',
    programs: ['dockerd'],
    also: () => process.getuid?.() === 0,
    sockets: ['/var/run/docker.sock'],
    neededFor: 'test/skills/docker',
  },
]

export function facilities(env: NodeJS.ProcessEnv): readonly Facility[] {
  return WANTED.map(({ name, variable, programs, also, sockets = [], neededFor }) => {
    const given = env[variable]
    const socket = (given ? [given] : sockets).find((path) => isSocket(path))
    if (socket !== undefined) return { name, variable, path: socket, neededFor }
    const path = given ? (isProgram(given) ? given : null) : find(programs, env['PATH'] ?? '')
    return { name, variable, path: also === undefined || also(env) ? path : null, neededFor }
  })
}

function find(programs: readonly string[], searchPath: string): string | null {
  const folders = [...searchPath.split(delimiter), '/usr/bin', '/usr/sbin']
  return programs.flatMap((program) => folders.map((folder) => resolve(folder, program))).find((path) => isProgram(path)) ?? null
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

function isSocket(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return statSync(path).isSocket()
  } catch {
    return false
  }
}
