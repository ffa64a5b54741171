/**
 * Judges how a tunnel is opened. A host was allowed by its name; behind its address there may be others (one front for many), and TLS says
 * again which one is meant. So that has to be allowed as well, and where TLS is usual it has to be TLS.
 */
import { readHello } from './client-hello.ts'
import { authority, parseAuthority, permits } from './match.ts'
import type { Rule, Target } from './match.ts'

export type Opening =
  | { readonly is: 'partial' }
  | { readonly is: 'fine' }
  /** `why`: a sentence for people. `isTls`: who opens it understands an alert. */
  | { readonly is: 'refused'; readonly why: string; readonly isTls: boolean }

const HTTPS = 443

/** @param bytes what the skill sent first */
export function judgeOpening(bytes: Buffer, target: Target, rules: readonly Rule[]): Opening {
  const place = authority(target)
  const hello = readHello(bytes)
  const refused = (why: string): Opening => ({ is: 'refused', why, isTls: hello.is !== 'other' })
  switch (hello.is) {
    case 'partial':
      return hello
    case 'other':
      return target.port === HTTPS && bytes.length > 0 ? refused(`${place}: on port 443 nothing but TLS is let through.`) : { is: 'fine' }
    case 'broken':
      return refused(`${place}: what begins as TLS does not say readably which host it is for.`)
    case 'hello': {
      // Its name was judged when the tunnel was asked for, and it gives no other.
      if (hello.isHidden) return refused(`${place}: its TLS hides which host it is for (Encrypted Client Hello).`)
      if (hello.name === null) return { is: 'fine' }
      const meant = parseAuthority(`${hello.name}:${target.port}`)
      if (meant !== null && permits(rules, meant) !== null) return { is: 'fine' }
      const name = meant === null ? 'a name that is none' : authority(meant)
      const hosts = rules.map(({ text }) => text).join(', ')
      return refused(
        `${name}, asked for in a tunnel to ${place}, is not among the hosts of the skill: it may reach ${hosts} (network.allow).`,
      )
    }
  }
}
