/** For gateways that die at a point of a test's choosing: how they die, and a point on either side of the store's transactions. */
import type { Store } from '#contract'

/** By SIGKILL, here and now. */
export function die(): never {
  process.kill(process.pid, 'SIGKILL')
  // The signal takes a moment; nothing more may happen meanwhile.
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_000)
}

/** `names`: of the methods that have points, by what the point is called. */
export function withPoints(store: Store, names: { readonly [method: string]: string }, point: (name: string) => void): Store {
  const port = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(object, name) {
        const member: unknown = Reflect.get(object, name)
        if (typeof member !== 'function') return member
        const label = names[String(name)]
        if (label === undefined) return member.bind(object)
        return async (...given: unknown[]) => {
          point(`before ${label}`)
          const result: unknown = await member.apply(object, given)
          point(`after ${label}`)
          return result
        }
      },
    })
  return new Proxy(store, {
    get(object, name) {
      const member: unknown = Reflect.get(object, name)
      if (typeof member === 'function') return member.bind(object)
      return name === 'inbox' || name === 'turns' || name === 'outbox' ? port(member as object) : member
    },
  })
}
