/** The models of this node by name, with the providers that serve each, and whose turn it is when all their places are taken. */
import type { LlmProvider, ModelInfo } from '../../actors/ports/llm-provider.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { chatCapability, embedCapability } from '../../protocols/models/schema.ts'
import type { Breaker } from './breaker.ts'
import { type Speed, createSpeed } from './speed.ts'

export type ModelCapability = typeof chatCapability | typeof embedCapability

/** What a provider that keeps models in memory says beside the port. */
export interface ModelMemory {
  /** How long until a call of it can begin; 0 when it is loaded. */
  warmUpMs?(model: string): number
  /** `prefixDigest` of prompts whose beginning is still in memory. */
  warmPrefixes?(model: string): readonly string[]
}

export interface HostedProvider {
  readonly provider: LlmProvider & ModelMemory
  /** For people: the attribute `provider` of its models. */
  readonly name: string
  /** It computes here: its answers are followed token by token. */
  readonly isLocal: boolean
  /** Of what is asked over a network. */
  readonly breaker?: Pick<Breaker, 'closedForMs'>
}

/** One provider's part in a model. */
export interface Member {
  readonly by: HostedProvider
  info: ModelInfo
  busy: number
  /** The longest answer that may be asked for, once its provider has refused a longer one. */
  answerTokensMax?: number
}

export interface HostedModel {
  readonly name: string
  readonly capability: ModelCapability
  /** At least one; the first goes before the others. */
  readonly members: readonly Member[]
  readonly speed: Speed
}

/** A place in one provider, held until it is released. */
export interface Place {
  readonly member: Member
  release(): void
}

export interface HostedModels {
  list(): readonly HostedModel[]
  /** By name; without one, of those that fit, the model that can answer soonest. @throws MeshError `no-provider`. */
  pick(capability: ModelCapability, name: string | undefined, fits: (model: HostedModel) => boolean): HostedModel
  /** Waits for a place. @throws MeshError `overloaded` when too many wait; the signal's reason. */
  place(model: HostedModel, signal: AbortSignal): Promise<Place>
  /** Takes what the providers serve now. @returns whether that is something else than before. */
  refresh(providers: readonly HostedProvider[]): boolean
  /** Names of models that do not fit into what a node may offer. */
  readonly leftOut: readonly string[]
}

interface Shelved extends HostedModel {
  members: Member[]
  readonly waiting: Waiter[]
}

interface Waiter {
  readonly admit: (place: Place) => void
  readonly refuse: (why: MeshError) => void
}

/** Models of one name are one model, whoever serves them: they share its calls. */
export function createHostedModels(): HostedModels {
  let models = new Map<string, Shelved>()
  let leftOut: string[] = []

  /** The first that is open and has a place; else the first that has a place. */
  function freeMember({ members }: Shelved): Member | undefined {
    const free = members.filter(({ busy, info }) => busy < info.slots)
    return free.find(({ by }) => isOpen(by)) ?? free[0]
  }

  function take(model: Shelved, member: Member): Place {
    member.busy += 1
    let isHeld = true
    return {
      member,
      release() {
        if (!isHeld) return
        isHeld = false
        member.busy -= 1
        serve(model)
      },
    }
  }

  function serve(model: Shelved): void {
    for (;;) {
      const member = model.waiting.length === 0 ? undefined : freeMember(model)
      const next = member === undefined ? undefined : model.waiting.shift()
      if (member === undefined || next === undefined) return
      next.admit(take(model, member))
    }
  }

  return {
    list: () => [...models.values()],
    get leftOut() {
      return leftOut
    },
    pick(capability, name, fits) {
      const candidates = [...models.values()].filter((model) => model.capability === capability)
      if (name !== undefined) {
        const found = candidates.find((model) => model.name === name)
        if (found !== undefined) return found
        const has = candidates.length === 0 ? 'it has none' : `it has ${candidates.slice(0, 10).map((model) => model.name).join(', ')}${candidates.length > 10 ? ', …' : ''}`
        throw new MeshError('no-provider', `this node has no model ${name} for ${capability}; ${has}`, { next: 'list the models of the mesh with: skein models' })
      }
      const [best] = candidates.filter(fits).sort((left, right) => rank(left) - rank(right))
      if (best === undefined) throw new MeshError('no-provider', `this node has no model for ${capability} now`, { next: 'list the models of the mesh with: skein models' })
      return best
    },
    place(wanted, signal) {
      const model = models.get(keyOf(wanted.capability, wanted.name))
      if (model === undefined) return Promise.reject(goneError(wanted.name))
      if (signal.aborted) return Promise.reject(signal.reason as Error)
      const member = model.waiting.length === 0 ? freeMember(model) : undefined
      if (member !== undefined) return Promise.resolve(take(model, member))
      if (model.waiting.length >= limits.modelQueueMax) return Promise.reject(new MeshError('overloaded', `${model.waiting.length} calls wait for ${model.name} already`, { next: 'try again in a while', retryAfterMs: 1_000 }))
      return new Promise((resolve, reject) => {
        const onAbort = (): void => {
          const at = model.waiting.indexOf(waiter)
          if (at >= 0) model.waiting.splice(at, 1)
          reject(signal.reason as Error)
        }
        const waiter: Waiter = {
          admit(place) {
            signal.removeEventListener('abort', onAbort)
            resolve(place)
          },
          refuse(why) {
            signal.removeEventListener('abort', onAbort)
            reject(why)
          },
        }
        signal.addEventListener('abort', onAbort, { once: true })
        model.waiting.push(waiter)
      })
    },
    refresh(providers) {
      const before = describe(models)
      const next = new Map<string, Shelved>()
      leftOut = []
      for (const by of providers) {
        for (const info of by.provider.models()) {
          const capability = info.does === 'chat' ? chatCapability : embedCapability
          const key = keyOf(capability, info.name)
          const known = models.get(key)
          if (!next.has(key) && next.size >= limits.modelsOfferedMax) {
            leftOut.push(info.name)
            continue
          }
          const model = next.get(key) ?? { name: info.name, capability, members: [], speed: known?.speed ?? createSpeed(), waiting: known?.waiting ?? [] }
          const member = known?.members.find((old) => old.by === by) ?? { by, info, busy: 0 }
          member.info = info
          model.members.push(member)
          next.set(key, model)
        }
      }
      for (const [key, model] of models) if (!next.has(key)) for (const waiter of model.waiting.splice(0)) waiter.refuse(goneError(model.name))
      models = next
      for (const model of models.values()) serve(model)
      return describe(models) !== before
    },
  }
}

function goneError(name: string): MeshError {
  return new MeshError('no-provider', `${name} is not served here any more`, { next: 'try again: another node may have it' })
}

export function isOpen({ breaker }: HostedProvider): boolean {
  return breaker === undefined || breaker.closedForMs() === 0
}

export function isModelOpen({ members }: HostedModel): boolean {
  return members.some(({ by }) => isOpen(by))
}

/** Calls that it serves at the same time. */
export function slotsOf({ members }: HostedModel): number {
  return members.reduce((sum, { info }) => sum + info.slots, 0)
}

function keyOf(capability: ModelCapability, name: string): string {
  return `${capability} ${name}`
}

/** Open before closed, with a free place before without, loaded before not, fast before slow. */
function rank(model: HostedModel): number {
  const hasPlace = model.members.some(({ busy, info }) => busy < info.slots)
  const msPerToken = Math.min(1, (model.speed.msPerOutput() ?? model.speed.msPerInput() ?? 1_000) / 10_000)
  return (isModelOpen(model) ? 0 : 8) + (hasPlace ? 0 : 4) + (warmUpMsOf(model) === 0 ? 0 : 2) + msPerToken
}

/** Of the member that is ready first. */
export function warmUpMsOf({ name, members }: HostedModel): number {
  return Math.min(...members.map(({ by }) => by.provider.warmUpMs?.(name) ?? 0))
}

function describe(models: ReadonlyMap<string, Shelved>): string {
  return JSON.stringify([...models].map(([key, { members }]) => [key, members.map(({ by, info }) => [by.name, info])]))
}
