/**
 * The port behind `${…}`: whoever keeps values outside of `openclaw.yaml`. A source is asked by name and says what it knows; where in the
 * configuration the answer goes, and what becomes of a fault, is the loader's.
 */

export type Resolution =
  /** `isSecret`: it is masked wherever it stands, whatever the setting is called. */
  | { readonly is: 'value'; readonly value: string; readonly isSecret: boolean }
  /** It is known not to be there: a default may stand in for it. */
  | { readonly is: 'missing'; readonly problem: string }
  /** It cannot be had, or may not be used: nothing may stand in for it. `problem` says what, and what to do. */
  | { readonly is: 'failed'; readonly problem: string }

export interface SecretSource {
  /** Never rejects. */
  resolve(name: string): Promise<Resolution>
}

/** Variables of the environment by name; an empty one is an unset one. */
export type Environment = { readonly [name: string]: string | undefined }

export const secret = (value: string): Resolution => ({ is: 'value', value, isSecret: true })
export const missing = (problem: string): Resolution => ({ is: 'missing', problem })
export const failed = (problem: string): Resolution => ({ is: 'failed', problem })
