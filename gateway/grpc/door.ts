/** Which method is which row of the route table, or needs which permission: known from the path alone. What is not named here is told to everybody. */
import type { DialogueRoute, Permission } from '#contract'
import { SERVICE } from './definition.ts'
import { methods } from './method.ts'

/** Path of the method → who is let in: whoever may ask for a row, or has a permission. */
export type Doors = ReadonlyMap<string, { readonly row: string } | { readonly permission: Permission }>

const EVENTS = 'GET /v1/events/stream'

export function doors(dialogue: DialogueRoute | null): Doors {
  const rows = Object.entries(methods).map(([name, { row }]) => [name, { row }] as const)
  // Without a channel that holds conversations nobody is told so but who might hold one.
  const permission: Permission = dialogue?.permission ?? 'messages:write'
  const all = [...rows, ['Subscribe', { row: EVENTS }] as const, ['Chat', { permission }] as const]
  return new Map(all.map(([name, door]) => [`/${SERVICE}/${name}`, door]))
}
