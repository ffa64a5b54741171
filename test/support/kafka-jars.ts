/**
 * The jars of the Kafka broker that tests run: where they lie on this machine, and how they come there. Maven fetches them from Maven
 * Central once; they stay in a cache folder outside the repository. Starting a broker is `kafka.ts`.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const POM = join(import.meta.dirname, 'kafka', 'pom.xml')
const TRIES = 3
const FETCH_LIMIT_MS = 300_000

const cache = (env: NodeJS.ProcessEnv): string => env['OPENCLAW_TEST_CACHE'] ?? join(env['HOME'] ?? homedir(), '.cache', 'openclaw-test')
const folder = (env: NodeJS.ProcessEnv): string => join(cache(env), 'kafka-3.9.1')

export const hasKafkaJars = (env: NodeJS.ProcessEnv): boolean => existsSync(join(folder(env), 'kafka_2.13-3.9.1.jar'))

/** The folder they lie in; fetched when they are not there yet, which takes a minute and Maven. */
export async function kafkaJars(env: NodeJS.ProcessEnv): Promise<string> {
  if (hasKafkaJars(env)) return folder(env)
  mkdirSync(cache(env), { recursive: true })
  for (let attempt = 1; ; attempt++) {
    // Complete or not there at all, also for another test that looks at the same time.
    const unfinished = mkdtempSync(join(cache(env), 'kafka-'))
    try {
      const args = ['-q', '-B', '-f', POM, 'dependency:copy-dependencies', `-DoutputDirectory=${unfinished}`]
      await promisify(execFile)('mvn', args, { env, timeout: FETCH_LIMIT_MS })
      if (!hasKafkaJars(env)) renameSync(unfinished, folder(env))
      return folder(env)
    } catch (error) {
      if (hasKafkaJars(env)) return folder(env)
      if (attempt === TRIES) throw new Error(`Maven could not fetch the jars of Kafka in ${TRIES} tries.`, { cause: error })
    } finally {
      rmSync(unfinished, { recursive: true, force: true })
    }
  }
}
