/**
 * The configuration as the API knows it: what is in effect and where it comes from, and the few parts that can be changed while the
 * gateway runs. A change is stored beside the user's file, never in it, and is in force when the promise resolves.
 */
import type { JsonObject, JsonValue } from './envelope.ts'

/** What can be changed. Everything else stands in `openclaw.yaml` alone. */
export type ConfigPart =
  | { readonly is: 'routes' }
  | { readonly is: 'limits' }
  | { readonly is: 'agent'; readonly name: string }
  | { readonly is: 'channel'; readonly name: string }

export interface ConfigDocument {
  /** In the terms of `openclaw.yaml`. A channel: its access rules alone. */
  readonly value: JsonObject
  /** Who changed it over the API, and when; null: it is as the file has it. */
  readonly changed: { readonly by: string; readonly at: number } | null
}

export interface ConfigValue {
  /** Dotted: `server.port`, `routes[0].match.topic`. */
  readonly path: string
  /** A secret is masked. */
  readonly value: JsonValue
  /** `default`, `openclaw.yaml:12`, `overlay by ops at 2030-01-01T00:00:00.000Z`, `env OPENCLAW_PORT`. */
  readonly origin: string
}

/** Something that was changed over the API and has no effect any more, because the file has become another. */
export interface VainOverlay {
  readonly path: string
  readonly by: string
  readonly at: number
  readonly reason: string
}

export interface ConfigChange {
  /** Routes and limits: the whole. An agent or a channel: a merge patch (RFC 7396). null: as the file has it again. */
  readonly value: JsonObject | null
  readonly by: string
  /** Called with the part as it is, when nobody else can change it any more; what it throws is the answer, and nothing is stored. */
  readonly check: (current: ConfigDocument | null) => void
}

export interface ConfigDesk {
  effective(): { readonly values: readonly ConfigValue[]; readonly vain: readonly VainOverlay[] }
  /** null: the configuration has no such agent or channel. */
  read(part: ConfigPart): ConfigDocument | null
  /**
   * Rejects, with nothing stored: `InvalidError` with every fault that the configuration would have, `NotFoundError` when there is nothing
   * to be changed or taken away, `ConflictError` while the file itself is faulty.
   */
  change(part: ConfigPart, change: ConfigChange): Promise<void>
}
