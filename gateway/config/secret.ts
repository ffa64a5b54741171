/** Which settings are secret. Their values are printed nowhere and are told to the log's redaction. */
import { isSecretName } from '#contract'

/** Whether the value at this path must not be shown: `llm.providers.openai.api_key`. */
export function isSecretPath(path: string): boolean {
  const keys = path.split('.')
  return keys.some((key) => isSecretName(key.replace(/(\[\d+\])+$/, '')))
}

/** User and password in an address. */
export const maskUserInfo = (text: string): string => text.replace(/(\w:\/\/)[^\s/@]+@/g, '$1***@')
/** The password in an address, if it has one. */
export function passwordIn(text: string): string | null {
  return /\w:\/\/[^\s/:@]*:([^\s/@]+)@/.exec(text)?.[1] ?? null
}
