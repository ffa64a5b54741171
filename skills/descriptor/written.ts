/** A descriptor as an author would have written it, for skills that were never written: those of the gateway itself. */
import type { JsonObject, SkillDescriptor } from '#contract'

export function written(descriptor: SkillDescriptor): JsonObject {
  const { id, version, description, inputs, outputs, runtime, effect, resources, network, secrets, dependencies, tests } = descriptor
  return {
    id,
    version,
    description,
    inputs,
    outputs,
    runtime: { ...runtime },
    effect,
    timeout_ms: descriptor.timeoutMs,
    resources: { memory_mb: resources.memoryMb, cpus: resources.cpus, pids: resources.pids, tmp_mb: resources.tmpMb },
    network: { allow: network.allow },
    secrets,
    ...(dependencies !== null && { dependencies }),
    tests: tests.map(({ name, input, output, error }) => ({
      name,
      input,
      ...(output !== undefined && { output }),
      ...(error !== undefined && { error }),
    })),
  }
}
