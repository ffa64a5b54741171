/** Judges the form of an e-mail address: what RFC 5321 lets a mail server take, and no comments or folding of RFC 5322. */

const MAX_ADDRESS = 254
const MAX_LOCAL = 64
const MAX_DOMAIN = 253
/** Atoms of RFC 5322 §3.2.3, and all beyond ASCII by RFC 6531. */
const ATOM = /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\u{10FFFF}-]+$/u
const QUOTED = /^"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"$/
const LABEL = /^[A-Za-z0-9\u00a1-\u{10FFFF}](?:[A-Za-z0-9\u00a1-\u{10FFFF}-]*[A-Za-z0-9\u00a1-\u{10FFFF}])?$/u

export function run({ email }) {
  const address = email.trim()
  const at = address.lastIndexOf('@')
  const [local, domain] = [address.slice(0, at), address.slice(at + 1).toLowerCase()]
  const reason =
    at < 0
      ? 'there is no @'
      : (faultOfLocal(local) ?? faultOfDomain(domain) ?? (address.length > MAX_ADDRESS ? `it is longer than ${MAX_ADDRESS}` : null))
  if (reason !== null) return { valid: false, reason, normalized: null, local: null, domain: null }
  return { valid: true, reason: null, normalized: `${local}@${domain}`, local, domain }
}

function faultOfLocal(local) {
  if (local === '') return 'there is nothing before the @'
  if (local.length > MAX_LOCAL) return `the part before the @ is longer than ${MAX_LOCAL}`
  if (local.startsWith('"')) return QUOTED.test(local) ? null : 'the quotes before the @ are not closed, or hold what they must not'
  if (local.startsWith('.') || local.endsWith('.') || local.includes('..')) return 'a dot stands at an end, or two together'
  return local.split('.').every((atom) => ATOM.test(atom)) ? null : 'the part before the last @ has a character that has to be quoted'
}

function faultOfDomain(domain) {
  if (domain === '') return 'there is nothing after the @'
  if (domain.startsWith('[')) return faultOfLiteral(domain)
  if (domain.length > MAX_DOMAIN) return `the domain is longer than ${MAX_DOMAIN}`
  const labels = domain.split('.')
  if (labels.length < 2) return 'the domain has no dot'
  if (!labels.every((label) => label.length <= 63 && LABEL.test(label))) return 'the domain has a part that cannot be one'
  return /^\d+$/.test(labels.at(-1)) ? 'the domain ends in a number' : null
}

function faultOfLiteral(domain) {
  const inner = /^\[(.+)\]$/.exec(domain)?.[1] ?? ''
  if (/^ipv6:[0-9a-f:.]{2,45}$/.test(inner) && inner.split(':').length >= 4) return null
  const parts = inner.split('.')
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255) ? null : 'the address in [ ] is none'
}
