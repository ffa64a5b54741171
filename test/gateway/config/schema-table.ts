/** The schema of `openclaw.yaml` as a Markdown table, for docs/configuration.md. */
import { isJsonObject } from '#contract'
import type { JsonObject, JsonValue } from '#contract'

export function schemaTable(schema: JsonObject): string {
  return ['| key | value | default | meaning |', '| --- | --- | --- | --- |', ...rows(schema, '', new Set())].join('\n')
}

/** `seen`: what was described before, under another name. */
function rows(schema: JsonObject, path: string, seen: Set<JsonObject>): readonly string[] {
  const own = path === '' ? [] : [row(schema, path)]
  if (seen.has(schema)) return []
  seen.add(schema)
  const properties = isJsonObject(schema['properties']) ? schema['properties'] : {}
  const inside = Object.entries(properties).flatMap(([name, member]) => below(member, path === '' ? name : `${path}.${name}`, seen))
  return [...own, ...inside, ...below(schema['additionalProperties'], `${path}.<name>`, seen), ...below(schema['items'], `${path}[]`, seen)]
}

/** Members of what a list or a free mapping holds; plain values are described by the row above. */
function below(schema: JsonValue | undefined, path: string, seen: Set<JsonObject>): readonly string[] {
  if (!isJsonObject(schema)) return []
  const plain = !('properties' in schema) && /(\]|>)$/.test(path)
  return plain ? [] : rows(schema, path, seen)
}

function row(schema: JsonObject, path: string): string {
  const fallback = schema['default'] === undefined ? '' : `\`${JSON.stringify(schema['default'])}\``
  const cells = [`\`${path}\``, kind(schema), fallback, words(schema['description']).join()]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function kind(schema: JsonObject): string {
  if (schema['enum'] !== undefined)
    return words(schema['enum'])
      .map((word) => `\`${word}\``)
      .join(', ')
  if (schema['format'] === 'duration' || schema['format'] === 'bytes') return schema['format'] === 'bytes' ? 'size' : 'duration'
  const { minimum, maximum } = schema
  const range = typeof minimum === 'number' && typeof maximum === 'number' ? ` ${minimum}–${maximum}` : ''
  return (
    words(schema['type'])
      .map(
        (name) => ({ object: 'mapping', array: 'list', string: 'text', integer: 'whole number', boolean: 'true or false' })[name] ?? name,
      )
      .join(' or ') + range
  )
}

const words = (value: JsonValue | undefined): readonly string[] => [value].flat().filter((word) => typeof word === 'string')
