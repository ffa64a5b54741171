/**
 * A process that runs one skill in a container and is killed in the middle of it: `node contained-run.ts SOCKET IMAGE DIR KEY CODE GRADE
 * FIRST`. FIRST: code that has run under the same key before.
 */
import { DockerSandbox } from '../../skills/sandbox/docker/docker.ts'
import { jobFor } from './container.ts'
import { noMetrics } from './no-metrics.ts'
import { quietLog } from './quiet-log.ts'
import { realClock } from './real-clock.ts'

const [socket = '', image = '', dir = '', key = '', code = '', grade = 'lease', first = ''] = process.argv.slice(2)
const settings = { docker: { socket, image, runtime: null, maxContainers: 4, parked: 1 }, maxQueued: 10, queueMs: 10_000 }
const parts = { env: {}, log: quietLog, clock: realClock, metrics: noMetrics, egress: null, volumes: null }
const sandbox = new DockerSandbox({ ...parts, dir, settings })
await sandbox.start()
const job = jobFor(
  { language: 'python', code },
  {},
  {
    key,
    grade: grade === 'fresh' ? 'fresh' : 'lease',
    timeoutMs: 20_000,
    tell: (event) => {
      if (event.is === 'progress') console.log('going')
    },
  },
)
if (first !== '') await sandbox.run(jobFor({ language: 'python', code: first }, {}, { key }))
const { outcome } = await sandbox.run(job)
console.log(`ended ${outcome.status}`)
