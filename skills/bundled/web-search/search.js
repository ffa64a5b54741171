/** Asks a search provider: SearXNG (`/search?format=json`), or one that is asked and answers like Brave Search (`/res/v1/web/search`). */

const DEFAULT_COUNT = 10
const MAX_SNIPPET = 500

export async function run({ query, count = DEFAULT_COUNT, language }, ctx) {
  const { SEARCH_URL: base = '', SEARCH_KEY: key = '' } = ctx.secrets
  const isBrave = /\/web\/search\/?$/.test(base.split(/[?#]/)[0])
  const answer = await ctx.fetch(
    addressOf(base, isBrave ? { q: query, count, search_lang: language } : { q: query, format: 'json', language }),
    {
      headers: { accept: 'application/json', ...authorisation(key, isBrave) },
    },
  )
  if (answer.status === 401 || answer.status === 403)
    throw new Error(`the search provider refused the key (${answer.status}): check SEARCH_KEY, and for SearXNG that it allows format json`)
  if (answer.status !== 200) throw new Error(`the search provider answered ${answer.status}`)
  const found = answer.json()
  const list = (isBrave ? found.web?.results : found.results) ?? []
  return {
    results: list
      .slice(0, count)
      .map(resultOf)
      .filter(({ url }) => /^https?:\/\//.test(url)),
  }
}

/** `none`: the provider wants no key. */
function authorisation(key, isBrave) {
  if (key === '' || key === 'none') return {}
  return isBrave ? { 'x-subscription-token': key } : { authorization: `Bearer ${key}` }
}

function addressOf(base, parameters) {
  if (!/^https?:\/\//.test(base)) throw new Error('SEARCH_URL has to be an address such as https://searx.example.com/search')
  const pairs = Object.entries(parameters).filter(([, value]) => value !== undefined)
  return `${base}${base.includes('?') ? '&' : '?'}${pairs.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&')}`
}

function resultOf({ title, url, content, description }) {
  return { title: plain(title), url: String(url ?? ''), snippet: plain(content ?? description).slice(0, MAX_SNIPPET) }
}

const plain = (text) =>
  String(text ?? '')
    .replace(/<[^>]*>/g, '')
    .replace(/\s+/g, ' ')
    .trim()
