/**
 * Puts blobs on the disks of a majority of a log's voters before an entry cites them, and on this node's when another
 * leader asks. Nothing is forgotten on silence: it asks again until enough have answered, or nobody waits any more.
 */
import type { Fault } from '../../../protocols/kernel/errors.ts'
import type { ActorAddress, Digest, PeerId } from '../../../protocols/kernel/ids.ts'
import { limits } from '../../../protocols/kernel/limits.ts'
import { blobRefsIn, type BlobRef, type Json } from '../../../protocols/kernel/payload.ts'
import { fault } from '../../../protocols/kernel/errors.ts'
import type { LogMessage } from '../../messages.ts'
import { actorNames, at } from '../../names.ts'
import type { ActorContext, Behaviour, Delivery } from '../../runtime/actor.ts'
import { tell, type Effect } from '../../runtime/effects.ts'

type SecureBlobs = Extract<LogMessage, { kind: 'secure-blobs' }>

interface Securing {
  readonly ask: SecureBlobs
  readonly to: ActorAddress
  readonly sinceMs: number
  /** What was asked for, and what is named inside it: a result that is a blob of JSON names blobs of its own. */
  refs: BlobRef[]
  readonly lookedInto: Set<Digest>
  /** Blobs that are being read for what they name. */
  looking: number
  /** Voters that have them on their disks, this node among them once it has. */
  readonly held: Set<PeerId>
  /** Parts of the list that a voter has said to hold: a long list goes in several messages. */
  readonly partsHeld: Map<PeerId, Set<string>>
  isHere: boolean
}

interface BlobKeeperState {
  readonly securing: Map<string, Securing>
  /** For other leaders: who asked, under which number. */
  readonly holding: Map<string, { readonly to: ActorAddress; readonly requestId: string }>
  counter: number
}

const askAgainMs = 2_000

export function blobKeeper(): Behaviour<BlobKeeperState> {
  return {
    kind: 'blob-keeper',
    supervision: 'resume',
    start: () => ({ state: { securing: new Map(), holding: new Map(), counter: 0 }, effects: [again()] }),
    receive: (state, delivery, context) => receive(state, delivery, context),
  }
}

function again(): Effect {
  return { type: 'set-timer', key: 'again', delayMs: askAgainMs, message: { kind: 'tick' } }
}

function receive(state: BlobKeeperState, { message, from }: Delivery, context: ActorContext): Effect[] {
  switch (message.kind) {
    case 'secure-blobs': {
      if (from.peer !== context.self.peer) return []
      const tag = `secure ${state.counter++}`
      state.securing.set(tag, { ask: message, to: from, sinceMs: context.nowMs, refs: [...message.refs], lookedInto: new Set(), looking: 0, held: new Set(), partsHeld: new Map(), isHere: false })
      return [{ type: 'fetch-blobs', refs: message.refs, alsoTry: message.alsoTry, tag }]
    }
    case 'hold-blobs': {
      const tag = `hold ${state.counter++}`
      state.holding.set(tag, { to: from, requestId: message.requestId })
      return [{ type: 'fetch-blobs', refs: message.refs, alsoTry: [from.peer], tag }]
    }
    case 'blobs-fetched':
      return message.tag.startsWith('hold ') ? onHeldHere(state, message.tag, message.fault) : onFetched(state, message.tag, message.fault, context)
    case 'value-loaded':
      return onLookedInto(state, message.tag, message.value)
    case 'blobs-held': {
      const tag = message.requestId.slice(0, message.requestId.lastIndexOf(' '))
      const securing = state.securing.get(tag)
      if (securing === undefined || !message.ok || !securing.ask.voters.includes(from.peer)) return []
      const parts = (securing.partsHeld.get(from.peer) ?? new Set<string>()).add(message.requestId)
      securing.partsHeld.set(from.peer, parts)
      if (parts.size < partsOf(securing.refs)) return []
      securing.held.add(from.peer)
      return finishIfEnough(state, tag, securing)
    }
    case 'tick':
      return [...[...state.securing].flatMap(([tag, securing]) => onSilence(state, tag, securing, context)), again()]
    default:
      return []
  }
}

function onHeldHere(state: BlobKeeperState, tag: string, problem: Fault | undefined): Effect[] {
  const asker = state.holding.get(tag)
  state.holding.delete(tag)
  return asker === undefined ? [] : [tell(asker.to, { kind: 'blobs-held', requestId: asker.requestId, ok: problem === undefined })]
}

function onFetched(state: BlobKeeperState, tag: string, problem: Fault | undefined, context: ActorContext): Effect[] {
  const securing = state.securing.get(tag)
  if (securing === undefined) return []
  if (problem !== undefined) {
    state.securing.delete(tag)
    return [tell(securing.to, { kind: 'blobs-secured', tag: securing.ask.tag, holders: [], cites: [], fault: problem })]
  }
  return lookInside(state, tag, securing, context)
}

/** Everything named so far is here. What it names in turn must be too, before others are asked. */
function lookInside(state: BlobKeeperState, tag: string, securing: Securing, context: ActorContext): Effect[] {
  const unread = securing.refs.filter(({ $blob, mediaType }) => mediaType === 'application/json' && !securing.lookedInto.has($blob))
  if (unread.length > 0) {
    securing.looking = unread.length
    return unread.map((ref) => {
      securing.lookedInto.add(ref.$blob)
      return { type: 'load-value', payload: { blob: ref }, alsoTry: [], tag }
    })
  }
  securing.isHere = true
  securing.held.add(context.self.peer)
  return [...askOthers(tag, securing, context), ...finishIfEnough(state, tag, securing)]
}

/** What is no JSON, whatever it calls itself, names nothing. */
function onLookedInto(state: BlobKeeperState, tag: string, value: Json | undefined): Effect[] {
  const securing = state.securing.get(tag)
  if (securing === undefined) return []
  securing.looking -= 1
  const known = new Set(securing.refs.map(({ $blob }) => $blob))
  const named = value === undefined ? [] : blobRefsIn(value).filter(({ $blob }) => !known.has($blob))
  securing.refs = [...securing.refs, ...named].slice(0, limits.archiveCitesMax)
  if (securing.looking > 0) return []
  return [{ type: 'fetch-blobs', refs: securing.refs, alsoTry: securing.ask.alsoTry, tag }]
}

function askOthers(tag: string, { ask, refs, held }: Securing, context: ActorContext): Effect[] {
  const here = refs.map((ref): BlobRef => ({ ...ref, holders: [context.self.peer] }))
  return ask.voters.filter((peer) => !held.has(peer) && peer !== context.self.peer && context.connected(peer)).flatMap((peer) => {
    const parts = Array.from({ length: partsOf(refs) }, (_, part) => here.slice(part * limits.blobsHeldAtOnceMax, (part + 1) * limits.blobsHeldAtOnceMax))
    return parts.map((some, part) => tell(at(peer, actorNames.blobKeeper), { kind: 'hold-blobs', requestId: `${tag} ${part}`, refs: some }))
  })
}

function partsOf(refs: readonly BlobRef[]): number {
  return Math.max(1, Math.ceil(refs.length / limits.blobsHeldAtOnceMax))
}

function finishIfEnough(state: BlobKeeperState, tag: string, { ask, to, held, isHere, refs }: Securing): Effect[] {
  const voters = ask.voters.filter((peer) => held.has(peer)).length
  if (!isHere || voters < Math.floor(ask.voters.length / 2) + 1) return []
  state.securing.delete(tag)
  return [tell(to, { kind: 'blobs-secured', tag: ask.tag, holders: [...held], cites: refs.map(({ $blob }) => $blob) })]
}

function onSilence(state: BlobKeeperState, tag: string, securing: Securing, context: ActorContext): Effect[] {
  // Whoever asked has ended, as an owner does that was deposed.
  if (!context.exists(securing.to.actor)) {
    state.securing.delete(tag)
    return []
  }
  if (context.nowMs - securing.sinceMs > limits.blobFetchTimeoutMs) {
    state.securing.delete(tag)
    return [tell(securing.to, { kind: 'blobs-secured', tag: securing.ask.tag, holders: [], cites: [], fault: fault('timeout', 'a majority of the log’s members could not be given the blobs in time', { next: 'see which nodes are missing: skein nodes' }) })]
  }
  return securing.isHere ? askOthers(tag, securing, context) : []
}
