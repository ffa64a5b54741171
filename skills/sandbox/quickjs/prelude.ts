/**
 * The part of a sandbox that runs inside of it, before the skill: it makes `ctx` and `console` out of the one function that the host
 * lends, `host(op, a, b)`, by which nothing but text goes. A skill may break all of this; it then breaks its own call.
 */

/** An expression: `(host, entrypoint, input, secrets, key, canFetch) => settle(id, isError, text)`. */
export const PRELUDE = `(function (host, entrypoint, input, secrets, key, canFetch) {
  'use strict'
  const { parse, stringify } = JSON
  const { isFinite } = Number
  const waiting = new Map()
  let asked = 0

  const show = (value) => {
    if (typeof value === 'string') return value
    if (value instanceof Error) return String(value) + '\\n' + value.stack
    if (typeof value === 'object' && value !== null) {
      try { return stringify(value) } catch {}
    }
    return typeof value === 'symbol' ? value.toString() : String(value)
  }
  const line = (stream) => (...values) => host('log', stream, values.map(show).join(' ') + '\\n')
  globalThis.console = { log: line('stdout'), info: line('stdout'), debug: line('stdout'), warn: line('stderr'), error: line('stderr') }

  // Sent by JSON.stringify as null, which nobody meant.
  const exact = (name, value) => {
    if (typeof value === 'number' && !isFinite(value)) throw new TypeError((name === '' ? 'the value' : '"' + name + '"') + ' is ' + value + ', which JSON cannot say')
    return value
  }
  const json = (value, what) => {
    const text = stringify(value, exact)
    if (text === undefined) throw new TypeError(what + ' is ' + typeof value + ', which JSON cannot say')
    return text
  }
  const ask = (what, text) => new Promise((resolve, reject) => {
    const id = ++asked
    waiting.set(id, { resolve, reject })
    try {
      host(what, String(id), text)
    } catch (error) {
      waiting.delete(id)
      reject(error)
    }
  })
  const failure = (text) => {
    const { message, ...more } = parse(text)
    return Object.assign(new Error(message), more)
  }

  const ctx = {
    key,
    secrets: Object.freeze(parse(secrets)),
    signal: { get aborted() { return host('aborted') === true } },
    progress: (value) => { host('progress', json(value, 'progress')) },
    log: (...values) => { host('log', 'log', values.map(show).join(' ') + '\\n') },
    call: async (skill, value) => parse(await ask('call', json({ skill: String(skill), input: value === undefined ? {} : value }, 'the input'))),
  }
  if (canFetch) {
    ctx.fetch = async (url, options = {}) => {
      const { method = 'GET', headers = {}, body = null } = options
      const request = { url: String(url), method: String(method), headers, body: body === null ? null : String(body) }
      const { status, headers: answered, text } = parse(await ask('fetch', json(request, 'the request')))
      return { status, headers: answered, text, json: () => parse(text) }
    }
  } else {
    ctx.fetch = async () => { throw new Error('it may reach no hosts: neither network.allow of its descriptor nor skills.entries.<id>.network.allow names any') }
  }

  const name = (error) => {
    if (!(error instanceof Error)) return 'threw ' + show(error)
    const place = /\\(?([\\w./-]+:\\d+:\\d+)/.exec(String(error.stack).split('\\n')[0])
    // A plain Error was meant for people; any other is a fault in the code, and is somewhere.
    return error.name + ': ' + error.message + (place === null || error.name === 'Error' ? '' : ' (' + place[1] + ')')
  }
  const failed = (error) => {
    host('failed', name(error), error instanceof Error ? String(error.stack) : '')
  }
  import(entrypoint).then((skill) => {
    if (typeof skill.run !== 'function') throw new TypeError(entrypoint + ' has to export a function run(input, ctx)')
    return skill.run(parse(input), ctx)
  }).then((output) => {
    let text
    try {
      text = json(output, 'what run() returned')
    } catch (error) {
      host('unfit', name(error))
      return
    }
    host('output', text)
  }, failed).catch(failed)

  return (id, isError, text) => {
    const asker = waiting.get(id)
    waiting.delete(id)
    if (asker === undefined) return
    if (isError) asker.reject(failure(text))
    else asker.resolve(text)
  }
})`
