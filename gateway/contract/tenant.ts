/**
 * Tenants: whose everything is. Each durable row belongs to one, each principal acts for one, and what is another's looks as if it were
 * not there. There is always one, `default`: the operator's own. How a channel's account or an agent comes by its tenant is configuration.
 */
import type { Principal } from './route.ts'

/** The operator's: whoever belongs to it may be told of the gateway as a whole. */
export const DEFAULT_TENANT: string = 'default'

/** Source of a regular expression; the letters are safe in keys, lanes, paths and labels. */
export const TENANT_PATTERN: string = '^[a-z0-9][a-z0-9-]{0,62}$'

const TENANT = new RegExp(TENANT_PATTERN)

export const isTenant = (text: string): boolean => TENANT.test(text)

/** Of the tenant that runs the gateway; what it may do beside is for its scopes to say. */
export const isOperator = ({ tenant }: Pick<Principal, 'tenant'>): boolean => tenant === DEFAULT_TENANT

/**
 * What a principal's lanes and dedupe keys begin with on a channel that all tenants share. An id may hold any letter; escaped it cannot
 * reach into another's, and `@`, which no escaped text holds, keeps those of equal ids of two tenants apart.
 */
export const namespaceOf = ({ tenant, id }: Pick<Principal, 'tenant' | 'id'>): string =>
  tenant === DEFAULT_TENANT ? encodeURIComponent(id) : `${encodeURIComponent(tenant)}@${encodeURIComponent(id)}`
