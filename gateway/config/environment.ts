/** What the environment says without being asked by `${NAME}`: laid over the file before both are checked together. */
import { resolve } from 'node:path'
import type { Environment } from './interpolate.ts'
import { isNothing, withValue } from './tree.ts'
import type { Node, Scalar } from './tree.ts'

/** Variable → the setting that it overrides. An empty variable is an unset one. */
const OVERRIDES: { readonly [name: string]: string } = {
  OPENCLAW_HOST: 'server.host',
  OPENCLAW_PORT: 'server.port',
  OPENCLAW_METRICS_PORT: 'server.metrics_port',
  OPENCLAW_RATE_PER_IP: 'server.rate_limits.per_ip',
  OPENCLAW_RATE_PER_KEY: 'server.rate_limits.per_key',
  OPENCLAW_LOG_LEVEL: 'log.level',
  OPENCLAW_LOG_FORMAT: 'log.format',
}
/** Variable → the provider it is the key of. The file has the last word. */
const PROVIDER_KEYS: { readonly [name: string]: string } = { OPENAI_API_KEY: 'openai', ANTHROPIC_API_KEY: 'anthropic' }

/** The folder of `openclaw.yaml`, `sessions.db` and `.openclaw/`. */
export const gatewayDir = (env: Environment, cwd: string): string => resolve(cwd, env['OPENCLAW_DIR'] ?? '')

export function withEnvironment(tree: Node, env: Environment): Node {
  if (tree.kind !== 'map') return tree
  let result = tree as Node
  for (const [name, path] of Object.entries(OVERRIDES)) {
    const value = env[name]
    if (value) result = withValue(result, path.split('.'), fromEnvironment(name, value))
  }
  // Several gateways side by side, told apart by their ports, must not fight over the one default port for scrapes.
  if (env['OPENCLAW_PORT'] && !has(result, ['server', 'metrics_port'])) {
    result = withValue(result, ['server', 'metrics_port'], fromEnvironment('OPENCLAW_PORT', 0))
  }
  for (const [name, provider] of Object.entries(PROVIDER_KEYS)) {
    const path = ['llm', 'providers', provider, 'api_key']
    if (env[name] && !has(result, path)) result = withValue(result, path, fromEnvironment(name, env[name]))
  }
  return result
}

const fromEnvironment = (name: string, value: Scalar): Node => ({
  kind: 'scalar',
  place: { file: name, line: 0, column: 0 },
  value,
  env: [name],
})

/** Whether something stands at the path, or something on the way to it is no mapping and is at fault anyway. */
function has(tree: Node, keys: readonly string[]): boolean {
  const [key, ...rest] = keys
  if (key === undefined || tree.kind !== 'map') return !isNothing(tree)
  const entry = tree.entries.find((candidate) => candidate.key === key)
  return entry !== undefined && has(entry.node, rest)
}
