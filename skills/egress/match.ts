/**
 * Hosts as they are asked for and as rules name them, in one spelling each, and whether a rule lets a host pass. Pure: whether the
 * addresses behind a name are public is asked elsewhere.
 */

/** A host in its one spelling: lower case, IDNA's ASCII form, addresses as `URL` writes them, IPv6 without brackets. */
export interface Target {
  readonly host: string
  readonly port: number
}

export interface Rule {
  readonly text: string
  /** `any`: every public host. `below`: `host` is a domain, and everything below it passes, not itself. */
  readonly is: 'any' | 'below' | 'host'
  readonly host: string
  /** null: 80 and 443. */
  readonly port: number | null
}

const DEFAULT_PORTS: readonly number[] = [80, 443]
const AUTHORITY = /^(\[[\da-f:.]+\]|[^\s:@/?#\\[\]%]+):(\d{1,5})$/i
const RULE = /^(\*\.)?(\[[\da-f:.]+\]|\*|[^\s:@/?#\\[\]%*]+)(?::(\d{1,5}))?$/i
const MAX_HOST = 253

/** null: it is no rule. */
export function parseRule(text: string): Rule | null {
  const [, star, name, digits] = RULE.exec(text) ?? []
  if (name === undefined) return null
  const port = digits === undefined ? null : portOf(digits)
  if (digits !== undefined && port === null) return null
  if (name === '*') return star === undefined ? { text, is: 'any', host: '', port } : null
  const host = normalHost(name)
  if (host === null || (star !== undefined && (isNumeric(host) || name.startsWith('[')))) return null
  return { text, is: star === undefined ? 'host' : 'below', host, port }
}

/** Of a CONNECT request (RFC 9112 §3.2.3): the port has to be there. */
export function parseAuthority(text: string): Target | null {
  const [, name, digits] = AUTHORITY.exec(text) ?? []
  if (name === undefined || digits === undefined) return null
  const host = normalHost(name)
  const port = portOf(digits)
  return host === null || port === null ? null : { host, port }
}

/** Of a URL that was parsed already. */
export function targetOf(url: URL): Target | null {
  const host = normalHost(url.hostname)
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : portOf(url.port)
  return host === null || port === null ? null : { host, port }
}

/** The first rule that lets it pass; those that name it come before `*`. */
export function permits(rules: readonly Rule[], { host, port }: Target): Rule | null {
  const passes = (rule: Rule): boolean => {
    if (rule.port === null ? !DEFAULT_PORTS.includes(port) : rule.port !== port) return false
    if (rule.is === 'host') return rule.host === host
    return rule.is === 'any' || (host.length > rule.host.length + 1 && host.endsWith(`.${rule.host}`))
  }
  return rules.find((rule) => rule.is !== 'any' && passes(rule)) ?? rules.find(passes) ?? null
}

export const authority = ({ host, port }: Target): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)

/** `URL` knows every spelling of an address: 0x7f.1, 2130706433, 0177.0.0.1, [::ffff:7f00:1]. */
function normalHost(name: string): string | null {
  const text = `http://${name}/`
  if (!URL.canParse(text)) return null
  const { hostname } = new URL(text)
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  return host === '' || host.length > MAX_HOST || host.endsWith('.') ? null : host
}

function portOf(digits: string): number | null {
  const port = Number(digits)
  return port >= 1 && port <= 65_535 ? port : null
}

const isNumeric = (host: string): boolean => /^[\d.]+$/.test(host)
