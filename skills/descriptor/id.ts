/** Names of skills. */
export const ID_PATTERN = '^[a-z0-9][a-z0-9._-]{0,63}$'
