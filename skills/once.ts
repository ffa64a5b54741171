/** A part that is loaded and made when it is first asked for, so that a gateway which never needs it has nothing of it. */

export interface Once<T> {
  (): Promise<T>
  /** null: nobody has asked for it yet. */
  made(): Promise<T> | null
}

export function once<T>(make: () => Promise<T>): Once<T> {
  let made: Promise<T> | null = null
  const get = (): Promise<T> => {
    made ??= make().catch((error: unknown) => {
      // The next one tries again.
      made = null
      throw error
    })
    return made
  }
  return Object.assign(get, { made: () => made })
}
