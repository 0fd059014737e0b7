/** One call of a model, from the input's blob to the answer's payload. */
import type { BlobStore } from '../../actors/ports/blob-store.ts'
import type { Clock } from '../../actors/ports/clock.ts'
import type { SkillRun, SkillRunEvent } from '../../actors/ports/skill-runner.ts'
import type { RunStats } from '../../protocols/bidding/schema.ts'
import { type Fault, fault, MeshError, toFault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Json, Payload } from '../../protocols/kernel/payload.ts'
import { type ChatDelta, ChatInput, ChatOutput, chatCapability, EmbedInput, EmbedOutput, embedCapability, noUsage, type Usage } from '../../protocols/models/schema.ts'
import { payloadOf, readBlob } from '../skills/payload-transfer.ts'
import { type AnswerCache, vectorOf } from './answer-cache.ts'
import { checked, deltasOf, fitsFor, parsed, wantedModel } from './call-input.ts'
import { checkFits } from './context-check.ts'
import { PaidFailure } from './paid-failure.ts'
import { affordableAnswer, affordableTexts, sendWithin } from './spending.ts'
import type { HostedModel, HostedModels, Member, Place } from './hosted-models.ts'

export interface ModelRunInit {
  readonly run: SkillRun
  readonly models: HostedModels
  readonly blobs: BlobStore
  readonly clock: Clock
  readonly cache: AnswerCache | undefined
  readonly pulseMs: number
  readonly listener: (event: SkillRunEvent) => void
  /** Told of every end, for whoever keeps the accounts. */
  readonly onEnded: (ended: EndedCall) => void
}

export interface EndedCall {
  readonly run: SkillRun
  readonly model?: HostedModel
  readonly member?: Member
  readonly stats: RunStats
  readonly cached?: 'exact' | 'similar'
  readonly fault?: Fault
}

export interface RunningCall {
  /** Ends it with `failed` and this fault, unless it has ended. */
  stop(why: Fault): void
  /** Resolves when its provider has let go of it, too. */
  readonly gone: Promise<void>
}

/** What a provider has been asked, and what has come of it so far. */
interface Asked {
  readonly member: Member
  readonly atMs: number
  /** Pieces of the answer. */
  deltas: number
  firstAtMs?: number
  lastAtMs: number
}

export function startModelRun(init: ModelRunInit): RunningCall {
  const { run, models, clock } = init
  const abort = new AbortController()
  const startedAtMs = clock.monotonicMs()
  let over = false
  let transferMs = 0
  let sentAtMs: number | undefined
  let asked: Asked | undefined
  let model: HostedModel | undefined
  /** What the provider says, once it has answered; before that the prompt is guessed. */
  let used: Usage | undefined
  let promptTokensGuess = 0
  /** Vectors that the cache has asked for. */
  let sideCostUsd = 0
  let cancelLimit = limitTime('overloaded', `it has waited for ${run.timeLimitMs} ms in vain`)
  let cancelPulse = clock.schedule(init.pulseMs, pulse)

  function say(event: SkillRunEvent): void {
    if (!over) init.listener(event)
  }

  /** While it waits it takes no more time than it may take once it runs. */
  function limitTime(code: 'overloaded' | 'skill-timeout', detail: string): () => void {
    return clock.schedule(run.timeLimitMs, () => fail(fault(code, detail, { next: 'give it less to do, or a longer time limit: timeLimitMs of the task' })))
  }

  function pulse(): void {
    cancelPulse = clock.schedule(init.pulseMs, pulse)
    say({ type: 'pulse', ...(asked === undefined || asked.deltas === 0 ? {} : { text: `${asked.deltas} tokens` }) })
  }

  /** Exactly one of the two ends: nothing of the run is heard after it. */
  function close(): boolean {
    if (over) return false
    over = true
    cancelLimit()
    cancelPulse()
    return true
  }

  function statsOf(usage: Usage): RunStats {
    const nowMs = clock.monotonicMs()
    return {
      transferMs,
      queueMs: Math.max(0, (sentAtMs ?? nowMs) - startedAtMs - transferMs),
      runMs: sentAtMs === undefined ? 0 : nowMs - sentAtMs,
      costUsd: usage.costUsd + sideCostUsd,
      tokens: { input: usage.promptTokens, output: usage.completionTokens },
    }
  }

  function fail(why: Fault): void {
    if (!close()) return
    const stats = statsOf(usageLost(why))
    init.listener({ type: 'failed', fault: why, stats })
    abort.abort(MeshError.from(why))
    init.onEnded({ run, stats, fault: why, ...(model === undefined ? {} : { model }), ...(asked === undefined ? {} : { member: asked.member }) })
  }

  /** What a call that brought nothing may have cost all the same, by the pieces that have come: a provider charges for what it computed. */
  function usageLost(why: Fault): Usage {
    if (used !== undefined) return used
    const isCharged = asked !== undefined && (asked.deltas > 0 || why.code === 'cancelled' || why.code === 'skill-timeout' || why.code === 'bad-output')
    if (asked === undefined || !isCharged) return noUsage
    const { inputUsdPerMillion, outputUsdPerMillion } = asked.member.info
    return { promptTokens: promptTokensGuess, cachedTokens: 0, completionTokens: asked.deltas, costUsd: (promptTokensGuess * inputUsdPerMillion + asked.deltas * outputUsdPerMillion) / 1_000_000 }
  }

  function succeed(output: ChatOutput | EmbedOutput, payload: Payload): void {
    if (!close()) return
    const stats = statsOf(output.usage)
    init.listener({ type: 'done', output: payload, stats })
    init.onEnded({ run, stats, ...(model === undefined ? {} : { model }), ...(asked === undefined ? {} : { member: asked.member }), ...(output.cached === undefined ? {} : { cached: output.cached }) })
  }

  async function load(): Promise<Json> {
    if ('inline' in run.input) return run.input.inline
    if (run.input.blob.sizeBytes > limits.modelInputBytesMax) throw new MeshError('too-large', `the input has ${run.input.blob.sizeBytes} bytes, a model is given ${limits.modelInputBytesMax} at most`, { next: 'split it' })
    const atMs = clock.monotonicMs()
    const bytes = await readBlob(init.blobs, run.input.blob)
    transferMs = clock.monotonicMs() - atMs
    try {
      return JSON.parse(new TextDecoder().decode(bytes)) as Json
    } catch (thrown) {
      throw new MeshError('bad-input', `the input is not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'correct the input' })
    }
  }

  function begin(member: Member): Asked {
    sentAtMs ??= clock.monotonicMs()
    cancelLimit()
    cancelLimit = limitTime('skill-timeout', `${run.capability} of ${member.info.name} ran longer than ${run.timeLimitMs} ms`)
    say({ type: 'started' })
    return { member, atMs: sentAtMs, deltas: 0, lastAtMs: sentAtMs }
  }

  /** Has a provider do something, with a place of its model held meanwhile. */
  async function ask<Output extends { readonly usage: Usage }>(chosen: HostedModel, work: (member: Member, now: Asked) => Promise<Output>): Promise<Output> {
    const place: Place = await models.place(chosen, abort.signal)
    try {
      abort.signal.throwIfAborted()
      asked = begin(place.member)
      const now = asked
      const isLoaded = (place.member.by.provider.warmUpMs?.(chosen.name) ?? 0) === 0
      const output = await work(place.member, now)
      used = output.usage
      const { promptTokens, cachedTokens, completionTokens } = used
      const isPiecemeal = now.deltas > 1 && now.firstAtMs !== undefined
      chosen.speed.learn({
        // Until the first piece it was loaded as well as read.
        promptTokens: isLoaded ? promptTokens : 0, cachedTokens, completionTokens, totalMs: (isPiecemeal ? now.lastAtMs : clock.monotonicMs()) - now.atMs,
        ...(isPiecemeal && now.firstAtMs !== undefined ? { firstMs: now.firstAtMs - now.atMs } : {}),
      })
      return output
    } finally {
      place.release()
    }
  }

  async function chat(input: ChatInput): Promise<ChatOutput> {
    const chosen = (model = models.pick(chatCapability, wantedModel(run, input.model), fitsFor(run)))
    const entry = await init.cache?.chat(chosen.name, input, run.principal, embedOne)
    if (entry?.found !== undefined) {
      say({ type: 'started' })
      if (run.streams === true) for (const delta of deltasOf(entry.found)) say({ type: 'chunk', value: delta as Json })
      return entry.found
    }
    promptTokensGuess = await checkFits(chosen, input)
    const answerTokens = await affordableAnswer(chosen, input, run.budgetUsd)
    const output = await ask(chosen, async (member, now) => {
      const onDelta = (delta: ChatDelta): void => {
        if (over) return
        now.lastAtMs = clock.monotonicMs()
        now.firstAtMs ??= now.lastAtMs
        now.deltas += 1
        if (run.streams === true) say({ type: 'chunk', value: delta as Json })
      }
      const options = { signal: abort.signal, ...(run.budgetUsd === undefined ? {} : { budgetUsd: run.budgetUsd }), ...(run.streams === true || member.by.isLocal ? { onDelta } : {}) }
      return checked(ChatOutput, await sendWithin(member, input, answerTokens, (within) => member.by.provider.chat(member.info.name, within, options)), member)
    })
    entry?.keep(output)
    return output
  }

  async function embed(input: EmbedInput): Promise<EmbedOutput> {
    const chosen = (model = models.pick(embedCapability, wantedModel(run, input.model), fitsFor(run)))
    const entry = init.cache?.embed(chosen.name, input, run.principal)
    if (entry?.found !== undefined) {
      say({ type: 'started' })
      return entry.found
    }
    promptTokensGuess = affordableTexts(chosen, input, run.budgetUsd)
    const output = await ask(chosen, async (member) => checked(EmbedOutput, await member.by.provider.embed(member.info.name, input, { signal: abort.signal }), member))
    entry?.keep(output)
    return output
  }

  /** For the cache: on this node's own model, and if that does not work, not at all. */
  async function embedOne(text: string): Promise<Float32Array | undefined> {
    let place: Place | undefined
    try {
      place = await models.place(models.pick(embedCapability, undefined, () => true), abort.signal)
      const { vectors: [vector], usage } = await place.member.by.provider.embed(place.member.info.name, { texts: [text] }, { signal: abort.signal })
      sideCostUsd += usage.costUsd
      return vector === undefined ? undefined : vectorOf(vector)
    } catch (thrown) {
      if (over) throw thrown
      return undefined
    } finally {
      place?.release()
    }
  }

  async function execute(): Promise<void> {
    const input = await load()
    const output = run.capability === chatCapability ? await chat(parsed(ChatInput, input, run)) : await embed(parsed(EmbedInput, input, run))
    succeed(output, await payloadOf(init.blobs, new TextEncoder().encode(JSON.stringify(output))))
  }

  const gone = execute().catch((thrown: unknown) => {
    // What it has cost is not guessed where it is known.
    if (thrown instanceof PaidFailure) used ??= thrown.usage
    fail(toFault(thrown, 'provider-failed'))
  })
  return { stop: fail, gone }
}
