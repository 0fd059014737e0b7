/** One runner for what the mesh asks of this node: calls of models go to their host, everything else to the skills. */
import type { CapabilityMeasure, SkillRunner } from '../../actors/ports/skill-runner.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { chatCapability, embedCapability } from '../../protocols/models/schema.ts'
import { isOfModels } from './model-host.ts'

/** @throws MeshError `bad-request` when a skill offers what models do. */
export function withModels(inner: SkillRunner, host: SkillRunner): SkillRunner {
  const rival = inner.capabilities().find(({ name, version }) => isOfModels(name, version))
  if (rival !== undefined) {
    throw new MeshError('bad-request', `a skill offers ${rival.name} ${rival.version}, and so do the models of this node`, { next: `name the skill's capability otherwise (${chatCapability} and ${embedCapability} are those of models), or start the node without models` })
  }
  const measured: { inner: readonly CapabilityMeasure[]; host: readonly CapabilityMeasure[] } = { inner: [], host: [] }
  const runnerOf = (capability: string, version: string | undefined): SkillRunner => (isOfModels(capability, version) ? host : inner)

  return {
    capabilities: () => [...inner.capabilities(), ...host.capabilities()],
    onCapabilitiesChanged(listener) {
      inner.onCapabilitiesChanged(listener)
      host.onCapabilitiesChanged(listener)
    },
    timeLimitMs: (capability, version) => runnerOf(capability, version).timeLimitMs(capability, version),
    checkInput: (capability, version, input) => runnerOf(capability, version).checkInput(capability, version, input),
    inputSchema: (capability, version) => runnerOf(capability, version).inputSchema(capability, version),
    start: (run, listener) => runnerOf(run.capability, run.version).start(run, listener),
    // A model calls nobody and publishes no checkpoint.
    answerCall: (runId, callNumber, event) => inner.answerCall(runId, callNumber, event),
    checkpointCommitted: (runId, number, problem) => inner.checkpointCommitted(runId, number, problem),
    onMeasured(listener) {
      const tell = (): void => listener([...measured.inner, ...measured.host])
      inner.onMeasured((measures) => {
        measured.inner = measures
        tell()
      })
      host.onMeasured((measures) => {
        measured.host = measures
        tell()
      })
    },
    // Neither knows the other's runs.
    stop(runId, why) {
      inner.stop(runId, why)
      host.stop(runId, why)
    },
  }
}
