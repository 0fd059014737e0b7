/**
 * Turns providers of language models into capabilities of this node: `llm.chat` and `llm.embed`, one entry per model.
 *
 * @packageDocumentation
 */
import { z } from 'zod'
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import type { Clock } from '../../actors/ports/clock.ts'
import type { SkillRun, SkillRunner } from '../../actors/ports/skill-runner.ts'
import type { Telemetry } from '../../actors/ports/telemetry.ts'
import { versionSatisfies } from '../../protocols/capability/matching.ts'
import type { Capability } from '../../protocols/capability/schema.ts'
import { type Fault, fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { ChatInput, chatCapability, EmbedInput, embedCapability, modelsVersion } from '../../protocols/models/schema.ts'
import { describeIssues } from '../skills/standard-schema.ts'
import type { AnswerCache } from './answer-cache.ts'
import { createHostedModels, type HostedModel, type HostedProvider } from './hosted-models.ts'
import { createMeasureTeller, differs } from './measures.ts'
import { type EndedCall, type RunningCall, startModelRun } from './model-run.ts'
import { offerOf, tokensPerSecondOf } from './offered-models.ts'

export interface ModelHostInit {
  readonly providers: readonly HostedProvider[]
  readonly blobs: BlobStore
  readonly clock: Clock
  readonly telemetry?: Telemetry
  readonly cache?: AnswerCache
  readonly pulseMs?: number
  /** Takes secrets out of what a provider says of its failures. */
  readonly redact?: (text: string) => string
}

export interface ModelHost extends SkillRunner {
  /** From now on its models are offered, too. */
  add(provider: HostedProvider): void
  /** Its models are offered no more. What it is answering goes on; closing it is its owner's business again. */
  remove(provider: HostedProvider): void
  /** The providers may serve other models than before. */
  refresh(): void
  /** Ends every call (`cancelled`) and closes the providers. */
  close(): Promise<void>
}

/** Is it a capability of models, in this version? */
export function isOfModels(capability: string, version: string | undefined): boolean {
  return (capability === chatCapability || capability === embedCapability) && versionSatisfies(modelsVersion, version)
}

export function createModelHost(init: ModelHostInit): ModelHost {
  const { clock, telemetry, redact = (text) => text } = init
  const providers = [...init.providers]
  const models = createHostedModels()
  const measures = createMeasureTeller(clock, models.list)
  const listeners: (() => void)[] = []
  const running = new Map<string, RunningCall>()
  /** As the mesh was told. */
  let speeds = new Map<HostedModel['name'], number | undefined>()
  let speedsToldAtMs = -Infinity
  let offered: readonly Capability[] = []
  let cancelSpeeds: (() => void) | undefined
  let closed = false
  takeModels()

  function takeModels(): boolean {
    const changed = models.refresh(providers)
    if (changed && models.leftOut.length > 0) {
      telemetry?.record({ name: 'model.left-out', level: 'warn', fields: { models: models.leftOut.slice(0, 20).join(', '), count: models.leftOut.length, offered: limits.modelsOfferedMax, next: 'say which models an endpoint offers: endpoints, models' } })
    }
    offer()
    return changed
  }

  function offer(): void {
    speeds = new Map(models.list().map((model) => [keyOf(model), tokensPerSecondOf(model)]))
    offered = models.list().map((model) => offerOf(model, speeds.get(keyOf(model))))
  }

  function changed(): void {
    for (const listener of listeners) listener()
    measures.look()
  }

  /** A new speed is in the bids at once; an advert is made for it now and then. */
  function lookAtSpeeds(): void {
    if (closed || !models.list().some((model) => differs(speeds.get(keyOf(model)), tokensPerSecondOf(model)))) return
    const waitMs = speedsToldAtMs + limits.speedToldMs - clock.monotonicMs()
    if (waitMs > 0) {
      cancelSpeeds ??= clock.schedule(waitMs, () => {
        cancelSpeeds = undefined
        lookAtSpeeds()
      })
      return
    }
    speedsToldAtMs = clock.monotonicMs()
    offer()
    changed()
  }

  function ended({ run, model, member, stats, cached, fault: why }: EndedCall): void {
    telemetry?.record({
      name: why !== undefined ? 'model.failed' : cached === undefined ? 'model.answered' : 'model.answered-from-cache',
      level: why === undefined ? (cached === undefined ? 'debug' : 'info') : why.code === 'cancelled' ? 'debug' : 'warn',
      fields: {
        capability: run.capability, model: model?.name, provider: member?.by.name, mission: run.missionId, task: run.taskId, cached,
        queueMs: Math.round(stats.queueMs), runMs: Math.round(stats.runMs), inputTokens: stats.tokens?.input, outputTokens: stats.tokens?.output, costUsd: stats.costUsd,
        code: why?.code, detail: why === undefined ? undefined : redact(why.detail),
      },
    })
    measures.look()
    lookAtSpeeds()
  }

  return {
    capabilities: () => offered,
    onCapabilitiesChanged: (listener) => void listeners.push(listener),
    timeLimitMs: () => limits.skillTimeMsDefault,
    checkInput(capability, version, input): Fault | undefined {
      if (!isOfModels(capability, version)) return undefined
      const result = schemaOf(capability).safeParse(input)
      if (result.success) return undefined
      return fault('bad-input', `the input does not fit ${capability} ${modelsVersion}: ${describeIssues(result.error.issues)}`, { next: 'correct the input' })
    },
    inputSchema: (capability, version) => (isOfModels(capability, version) ? (z.toJSONSchema(schemaOf(capability), { io: 'input' }) as Json) : undefined),
    start(run: SkillRun, listener) {
      const refuse = (why: Fault): void => clock.soon(() => listener({ type: 'failed', fault: why, stats: { queueMs: 0, transferMs: 0, runMs: 0, costUsd: 0 } }))
      if (closed) return refuse(fault('cancelled', 'the node is stopping'))
      if (running.has(run.runId)) return refuse(fault('internal', `the run ${run.runId} is already running`))
      if (run.step !== 'run' || !isOfModels(run.capability, run.version)) return refuse(fault('unknown-capability', `this node has no ${run.capability} ${run.version} to ${run.step}`))
      const started = startModelRun({
        run, models, blobs: init.blobs, clock, cache: init.cache, pulseMs: init.pulseMs ?? limits.pulseMs, onEnded: ended,
        listener: (event) => listener(event.type === 'failed' ? { ...event, fault: withoutSecrets(event.fault, redact) } : event),
      })
      running.set(run.runId, started)
      void started.gone.then(() => running.delete(run.runId))
    },
    answerCall: () => undefined,
    checkpointCommitted: () => undefined,
    onMeasured: measures.listen,
    stop(runId, why) {
      running.get(runId)?.stop(why)
    },
    add(provider) {
      providers.push(provider)
      if (takeModels()) changed()
    },
    remove(provider) {
      const at = providers.indexOf(provider)
      if (at < 0) return
      providers.splice(at, 1)
      if (takeModels()) changed()
    },
    refresh() {
      if (takeModels()) changed()
    },
    async close() {
      closed = true
      measures.close()
      cancelSpeeds?.()
      const all = [...running.values()]
      for (const one of all) one.stop(fault('cancelled', 'the node is stopping'))
      await Promise.all(all.map((one) => one.gone))
      await Promise.all(providers.map(({ provider }) => provider.close()))
    },
  }
}

function schemaOf(capability: string): typeof ChatInput | typeof EmbedInput {
  return capability === chatCapability ? ChatInput : EmbedInput
}

function keyOf({ capability, name }: HostedModel): string {
  return `${capability} ${name}`
}

function withoutSecrets(why: Fault, redact: (text: string) => string): Fault {
  return { ...why, detail: redact(why.detail), ...(why.next === undefined ? {} : { next: redact(why.next) }) }
}
