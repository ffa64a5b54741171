/** Which members are secret, by their name: masked wherever settings, fields or documents are shown or logged. */

const SECRET = /(api[_-]?key|private[_-]?key|access[_-]?key|token|secret|password|passwd|passphrase|authorization|cookie|credentials?)$/i

/** `api_key`, `botToken`, `Authorization`; not `max_tokens`. */
export const isSecretName = (name: string): boolean => SECRET.test(name)

export const SECRET_MASK = '***'
