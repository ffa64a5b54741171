/**
 * Token buckets: so many at once, refilled evenly over a window. As many as there is room for: when there are more keys, the one that
 * was used longest ago begins again full, so that a flood of keys costs memory that was set aside and nothing else.
 */
import { LRUCache } from 'lru-cache'

export interface BucketPolicy {
  /** As in `RateLimit-Policy`. */
  readonly name: string
  /** How many a window; 0: no limit. */
  readonly count: number
  readonly windowMs: number
}

/** What a bucket said: header fields for the answer, and when to come back if it was empty. */
export interface Taken {
  readonly isAllowed: boolean
  readonly remaining: number
  /** Whole seconds until it is full, or, when it was empty, until there is one again; at least 1. */
  readonly seconds: number
}

/** A whole second that arithmetic made a hair longer is that second. */
const ROUNDING = 1e-6

interface Bucket {
  tokens: number
  at: number
}

export class Buckets {
  #policy: BucketPolicy
  readonly #buckets: LRUCache<string, Bucket>

  constructor(policy: BucketPolicy, max: number) {
    this.#policy = policy
    this.#buckets = new LRUCache({ max })
  }

  get policy(): BucketPolicy {
    return this.#policy
  }

  /** So many from now on; what is taken already stays taken. */
  allow(count: number): void {
    this.#policy = { ...this.#policy, count }
  }

  get size(): number {
    return this.#buckets.size
  }

  take(key: string, now: number): Taken {
    const { count, windowMs } = this.#policy
    let bucket = this.#buckets.get(key)
    if (bucket === undefined) this.#buckets.set(key, (bucket = { tokens: count, at: now }))
    // A clock that was set back refills nothing.
    bucket.tokens = Math.min(count, bucket.tokens + (Math.max(0, now - bucket.at) * count) / windowMs)
    bucket.at = now
    const isAllowed = bucket.tokens >= 1
    if (isAllowed) bucket.tokens -= 1
    const missing = isAllowed ? count - bucket.tokens : 1 - bucket.tokens
    return {
      isAllowed,
      remaining: Math.floor(bucket.tokens),
      seconds: Math.max(1, Math.ceil((missing * windowMs) / count / 1_000 - ROUNDING)),
    }
  }
}
