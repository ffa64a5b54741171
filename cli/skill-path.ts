/** Where the gateway keeps a skill, for the commands about skills. */
export const skillPath = (id: string): string => `/v1/skills/${encodeURIComponent(id)}`
export const versionPath = (id: string, version: string): string => `${skillPath(id)}/versions/${encodeURIComponent(version)}`
export const runPath = (id: string): string => `/v1/runs/${encodeURIComponent(id)}`
