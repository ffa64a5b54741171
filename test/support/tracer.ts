/** A tracer that keeps its spans, for tests that ask what hangs below what. */
import type { Attributes, Span, SpanName, SpanOptions, Tracer } from '#contract'

export interface KeptSpan {
  readonly name: SpanName
  readonly traceparent: string
  readonly parent: string | undefined
  readonly links: readonly string[]
  readonly attributes: { [name: string]: Attributes[string] }
  /** undefined: it has not ended; null: well. */
  fault: string | null | undefined
}

export class KeepingTracer implements Tracer {
  readonly spans: KeptSpan[] = []
  /** Tells two lives of a gateway apart. */
  readonly #life: string

  constructor(life = 'a') {
    this.#life = life
  }

  span(name: SpanName, { parent, attributes, links }: SpanOptions = {}): Span {
    const trace = parent?.slice(3, 35) ?? `${this.#life}${this.spans.length}`.padStart(32, '0')
    const traceparent = `00-${trace}-${`${this.#life}${this.spans.length}`.padStart(16, '0')}-01`
    const span: KeptSpan = {
      name,
      traceparent,
      parent,
      links: (links ?? []).filter((link) => link !== undefined),
      attributes: { ...attributes },
      fault: undefined,
    }
    this.spans.push(span)
    return {
      traceparent,
      set: (more) => void Object.assign(span.attributes, more),
      end: (fault = null) => void (span.fault ??= fault),
    }
  }

  of(name: SpanName): KeptSpan {
    const found = this.spans.find((span) => span.name === name)
    if (found === undefined) throw new Error(`no ${name} among ${this.spans.map((span) => span.name).join(', ')}`)
    return found
  }

  /** `child < parent`, by their names; what came from outside is `outside`. */
  tree(): readonly string[] {
    const names = new Map<string | undefined, string>(this.spans.map(({ traceparent, name }) => [traceparent, name]))
    return this.spans.map(({ name, parent }) => (parent === undefined ? name : `${name} < ${names.get(parent) ?? 'outside'}`))
  }
}
