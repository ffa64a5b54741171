/**
 * Linking a channel to a phone, as it happens: a code to be scanned, which changes every few seconds, or one to be typed, and how it
 * ended. The code is drawn here, so that a page and a terminal need no library for it.
 */
import { InvalidError, describeError, isJsonObject } from '#contract'
import type { EventSink, JsonObject, JsonValue, LinkStep, Redact, Route } from '#contract'
import { ownOf } from './channels.ts'
import type { Hub } from './hub.ts'

/** ITU-T E.164 §6: at most 15 digits, country code included. */
const PHONE = /^[1-9][0-9]{6,14}$/
/** As people write it: the digits, with what may stand between them. */
const WRITTEN = '^[\\s()./+-]*[1-9]([\\s()./+-]*[0-9]){6,14}[\\s()./+-]*$'

export function channelLinkRoutes({ services }: Hub): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/channels/{name}/link',
      permission: 'channels:write',
      summary: 'Links the channel to a phone: by a code that it scans, or, with `phone`, by one that is typed into it',
      tag: 'channels',
      body: {
        type: 'object',
        additionalProperties: false,
        properties: {
          phone: { type: ['string', 'null'], maxLength: 32, pattern: WRITTEN, description: 'International number. None: a code to scan.' },
        },
        examples: [{ phone: '+49 151 1234567' }],
      },
      responses: {
        200: {
          description:
            'Server-sent events `qr` (data, svg, text), `code` (data), `done` (as), `blocked` (why), `error` (code, message); each replaces the one before.',
          contentType: 'text/event-stream',
        },
      },
      handle: (request) => {
        const { name } = ownOf(services, request)
        const phone = phoneOf(request.body)
        const gone = new AbortController()
        const steps = services.channels.link(name, { phone }, gone.signal)
        return {
          status: 200,
          events: async (sink) => {
            sink.signal.addEventListener('abort', () => gone.abort(), { once: true })
            if (!sink.signal.aborted) await tell(steps, sink, services.redact)
          },
        }
      },
    },
  ]
}

/** @throws InvalidError when it is no international number */
function phoneOf(body: JsonValue | undefined): string | null {
  const given = isJsonObject(body) ? body['phone'] : undefined
  if (typeof given !== 'string') return null
  const phone = given.replaceAll(/[\s()./+-]/g, '')
  if (PHONE.test(phone)) return phone
  throw new InvalidError('The number is no international telephone number, such as +49 151 1234567.', {
    code: 'SCHEMA_VIOLATION',
    faults: [{ pointer: '#/phone', detail: 'is not 7 to 15 digits, beginning with the code of a country' }],
  })
}

/** The answer has begun, so a failure is an event of it. */
async function tell(steps: AsyncIterable<LinkStep>, sink: EventSink, redact: Redact): Promise<void> {
  try {
    for await (const step of steps) if (!sink.send({ event: step.show, data: await dataOf(step) })) return
  } catch (error) {
    if (!sink.signal.aborted) sink.send({ event: 'error', data: { ...describeError(error, redact) } })
  }
}

async function dataOf(step: LinkStep): Promise<JsonObject> {
  switch (step.show) {
    case 'qr': {
      const { renderSVG, renderUnicodeCompact } = await import('uqr')
      return { data: step.data, svg: renderSVG(step.data, { border: 2 }), text: renderUnicodeCompact(step.data, { border: 2 }) }
    }
    case 'code':
      return { data: step.data }
    case 'done':
      return { as: step.as }
    case 'blocked':
      return { why: step.why }
  }
}
