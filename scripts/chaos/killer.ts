/** The loop of a campaign: wait until enough is under way, let something go wrong, wait until every mission has gone on. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../protocols/kernel/prng.ts'
import { type ChaosWorld, type FaultKind, faultKinds, injectors } from './fault-kinds.ts'
import type { MissionHistory } from './history.ts'
import { nowMs, reasonOf } from './machine.ts'

/** So many may end between the look and the fault. */
const spare = 3

export interface FaultRecord {
  readonly kind: FaultKind
  readonly about: string
  readonly atMs: number
  /** Missions under way when it began. */
  readonly inFlight: number
  /** Of each of them: from the beginning of the fault to its next acceptance or end. */
  readonly recoveryMs: readonly number[]
  /** Those that had made no progress when patience was over. */
  readonly stuck: readonly string[]
  /** Nodes that did not come back. */
  readonly absent: readonly string[]
}

export interface KillerInit {
  readonly world: ChaosWorld
  readonly kinds: readonly FaultKind[]
  readonly untilMs: number
  readonly inFlightMin: number
  readonly patienceMs: number
  /** Between faults that destroy a member's data: as long as the mesh needs to replace it. */
  readonly wipeGapMs: number
  readonly signal: AbortSignal
  readonly say: (line: string) => void
}

/** All kinds in an order drawn from the seed, then all again in another. */
export function* deckOf(kinds: readonly FaultKind[], random: Random): Generator<FaultKind> {
  for (;;) {
    const deck = [...kinds]
    while (deck.length > 0) yield* deck.splice(random.below(deck.length), 1)
  }
}

export async function runKiller(init: KillerInit): Promise<FaultRecord[]> {
  const { world, say, signal } = init
  const records: FaultRecord[] = []
  const deck = deckOf(init.kinds.filter((kind) => faultKinds.includes(kind)), world.random.split())
  let wipedMs = -Infinity
  for (const kind of deck) {
    if (signal.aborted || nowMs() >= init.untilMs) break
    if (kind.startsWith('wiped')) {
      // A log survives the loss of one disk at a time: another goes only when the first has been replaced.
      const waitMs = wipedMs + init.wipeGapMs - nowMs()
      if (waitMs > 0 && nowMs() + waitMs > init.untilMs) continue
      if (waitMs > 0) await until(() => nowMs() >= wipedMs + init.wipeGapMs, waitMs + 1_000, signal)
    }
    if (!await enoughUnderWay(init)) {
      if (signal.aborted) break
      say(`only ${world.history.inFlight().length} missions are under way, ${init.inFlightMin} were wanted`)
    }
    const record = await oneFault(kind, init)
    if (kind.startsWith('wiped')) wipedMs = nowMs()
    records.push(record)
    say(`${record.kind}: ${record.about}; ${record.inFlight} missions under way, all went on after ${record.recoveryMs.length === 0 ? '–' : `${(Math.max(...record.recoveryMs) / 1_000).toFixed(1)} s`}${record.stuck.length === 0 ? '' : `, but for ${record.stuck.join(', ')}`}${record.absent.length === 0 ? '' : `; did not come back: ${record.absent.join(', ')}`}`)
  }
  return records
}

/** Comes back at a moment that nobody can foresee, at which there are enough: many may end at once just before it, and then it is waited again. */
async function enoughUnderWay({ world, inFlightMin, patienceMs, signal }: KillerInit): Promise<boolean> {
  const deadlineMs = nowMs() + patienceMs
  const delayMs = world.random.below(1_500)
  for (;;) {
    if (!await until(() => world.history.inFlight().length >= inFlightMin + spare && world.nodes.every(({ node }) => node.isReady), deadlineMs - nowMs(), signal)) return false
    await sleep(delayMs)
    if (world.history.inFlight().length >= inFlightMin) return true
  }
}

async function oneFault(kind: FaultKind, { world, patienceMs, signal, say }: KillerInit): Promise<FaultRecord> {
  const before = new Set(world.history.inFlight())
  const fault = await injectors[kind](world)
  // Seen as acknowledged only since then, or ended in the same moment: not under way when it began.
  const affected = [...before].filter((mission) => mission.endedMs === undefined || mission.endedMs > fault.atMs)
  await fault.heal().catch((thrown: unknown) => say(`${kind} could not be undone: ${reasonOf(thrown)}`))
  const open = (): MissionHistory[] => affected.filter((mission) => mission.endedMs === undefined && recoveryOf(mission, fault.atWallMs) === undefined)
  await until(() => open().length === 0 && world.nodes.every(({ node }) => node.isReady), patienceMs, signal)
  return {
    kind, about: fault.about, atMs: fault.atMs, inFlight: before.size,
    recoveryMs: affected.flatMap((mission) => recoveryOf(mission, fault.atWallMs) ?? []),
    stuck: signal.aborted ? [] : open().map((mission) => mission.key),
    absent: signal.aborted ? [] : world.nodes.filter(({ node }) => !node.isReady).map(({ name }) => name),
  }
}

/** By the mesh's own stamps, which are of this machine's clock: how soon somebody noticed does not matter. */
function recoveryOf(mission: MissionHistory, faultWallMs: number): number | undefined {
  const after = [...mission.progressWallMs].filter((wallMs) => wallMs > faultWallMs)
  return after.length === 0 ? undefined : Math.min(...after) - faultWallMs
}

async function until(holds: () => boolean, patienceMs: number, signal: AbortSignal): Promise<boolean> {
  const untilMs = nowMs() + patienceMs
  while (!holds()) {
    if (signal.aborted || nowMs() > untilMs) return false
    await sleep(50)
  }
  return true
}
