/**
 * All versions of one skill that one tenant sees, and which of them a call gets. Pure: bookkeeping and decisions, no store. A version that is
 * switched off is shown and never chosen; prereleases are chosen only by name, or by a range that names them.
 */
import type { SkillDescriptor, SkillRecord, SkillTrack } from '#contract'
import { compareVersions, parseAsked } from '../descriptor/version.ts'
import type { Version } from '../descriptor/version.ts'
import { WHOLE } from './rollout.ts'

export interface Held {
  readonly record: SkillRecord
  readonly descriptor: SkillDescriptor
  readonly version: Version
}

export class Shelf {
  readonly #versions = new Map<string, Held>()
  readonly #tracks = new Map<number, SkillTrack>()

  get size(): number {
    return this.#versions.size
  }

  put(held: Held): void {
    this.#versions.set(held.record.version, held)
  }

  /** Away with it, and with the track whose stable one it is. */
  take(version: string): void {
    this.#versions.delete(version)
    for (const track of this.#tracks.values()) {
      if (track.stable === version) this.#tracks.delete(track.major)
      else if (track.previous === version) this.setTrack({ ...track, previous: null })
    }
  }

  setTrack(track: SkillTrack): void {
    this.#tracks.set(track.major, track)
  }

  get(version: string): Held | undefined {
    return this.#versions.get(version)
  }

  track(major: number): SkillTrack | undefined {
    return this.#tracks.get(major)
  }

  /** Newest major first. */
  tracks(): readonly SkillTrack[] {
    return [...this.#tracks.values()].toSorted((a, b) => b.major - a.major)
  }

  /** Newest first. */
  versions(): readonly Held[] {
    return [...this.#versions.values()].toSorted((a, b) => compareVersions(b.version, a.version))
  }

  /** Of the newest major that has one: what a call without a version gets, canaries apart. */
  current(): Held | null {
    return this.#stables()[0] ?? null
  }

  /** The one that was asked for, for whoever looks: by its exact version also when it is switched off. */
  find(asked: string | undefined): Held | null {
    const exact = asked === undefined ? undefined : this.#versions.get(asked)
    return exact ?? this.choose(asked, null)
  }

  /** The one that a call gets. `bucket`: of the caller, in ten-thousandths; null: canaries apart. */
  choose(asked: string | undefined, bucket: number | null): Held | null {
    if (asked === undefined) return this.#ofMajor(this.current()?.version.major, bucket)
    const wanted = parseAsked(asked)
    if (wanted.is === 'version') return this.#enabled(wanted.version)
    if (wanted.is === 'major') return this.#ofMajor(wanted.major, bucket)
    return wanted.is === 'range' ? this.#inRange(wanted.fits, bucket) : null
  }

  #ofMajor(major: number | undefined, bucket: number | null, fits: (version: Version) => boolean = () => true): Held | null {
    const track = major === undefined ? undefined : this.#tracks.get(major)
    if (track === undefined) return null
    const canary = bucket !== null && bucket < Math.min(track.weight, WHOLE) && track.canary !== null ? this.#enabled(track.canary) : null
    return canary !== null && fits(canary.version) ? canary : this.#enabled(track.stable)
  }

  /** A major's stable version goes before newer ones that nobody has promoted, or that were rolled back. */
  #inRange(fits: (version: Version) => boolean, bucket: number | null): Held | null {
    const stable = this.#stables().find(({ version }) => fits(version))
    if (stable !== undefined) return this.#ofMajor(stable.version.major, bucket, fits)
    const fitting = this.versions().filter(({ record, version }) => record.isEnabled && fits(version))
    return fitting.find(({ record }) => record.deprecated === null) ?? fitting[0] ?? null
  }

  #stables(): readonly Held[] {
    return this.tracks().flatMap(({ stable }) => this.#enabled(stable) ?? [])
  }

  #enabled(version: string): Held | null {
    const held = this.#versions.get(version)
    return held?.record.isEnabled === true ? held : null
  }
}
