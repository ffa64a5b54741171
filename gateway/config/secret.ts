/** Which settings are secret. Their values are printed nowhere and are told to the log's redaction. */
import { isSecretName } from '#contract'

/** Whether the value at this path must not be shown: `llm.providers.openai.api_key`. */
export function isSecretPath(path: string): boolean {
  const keys = path.split('.').map((key) => key.replace(/(\[\d+\])+$/, ''))
  // `skills.entries.weather.secrets.KEY`: whatever they are called. The block `secrets` itself says where secrets are.
  return keys.some((key, depth) => (key === 'secrets' && depth > 0) || isSecretName(key))
}

/** User and password in an address; the last `@` ends them (WHATWG URL, authority state). */
export const maskUserInfo = (text: string): string => text.replace(/(\w:\/\/)[^\s/?#]+@/g, '$1***@')
/** The passwords in the addresses of a text, as they are written and as they are meant. */
export function passwordsIn(text: string): readonly string[] {
  return [...text.matchAll(/\w:\/\/[^\s/:@?#]*:([^\s/?#]+)@/g)].flatMap(([, password = '']) => [password, meant(password)])
}

function meant(password: string): string {
  try {
    return decodeURIComponent(password)
  } catch {
    return password
  }
}
