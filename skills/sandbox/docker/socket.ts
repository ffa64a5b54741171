/** Where a container engine listens: as the operator says, as `DOCKER_HOST` says, or at the first of the usual places. */
import { existsSync } from 'node:fs'

const DEFAULT = '/var/run/docker.sock'

/** The path of a socket; there need not be one. @param given the setting `skills.docker.socket` */
export function engineSocket(given: string | null, env: { readonly [name: string]: string | undefined }): string {
  if (given !== null) return bare(given)
  const host = env['DOCKER_HOST']
  // An engine across a network could not mount what is here, and is not what this is made for.
  if (host?.startsWith('unix://') || host?.startsWith('/')) return bare(host)
  const own = env['XDG_RUNTIME_DIR']
  const places = [DEFAULT, ...(own ? [`${own}/docker.sock`, `${own}/podman/podman.sock`] : []), '/run/podman/podman.sock']
  return places.find((place) => existsSync(place)) ?? DEFAULT
}

const bare = (socket: string): string => socket.replace(/^unix:\/\//, '')
