/** Processes that die, stop, leave, or come back as another release. */
import type { FaultKind } from '../scenario/schema.ts'
import { otherProtocols } from './kinds.ts'
import type { Processes } from './processes.ts'
import { onEachNode, type Ready } from './ready.ts'
import type { FaultWorld } from './world.ts'

/** An actor's turn has a handful of effects: the process dies within the next few turns. */
const effectsMax = 60
const stormPauseMsMin = 50
const stormPauseMsMax = 1_500

export function processFaults(world: FaultWorld, processes: Processes) {
  const isUp = (name: string): boolean => world.isUp(name)

  return {
    crash: onEachNode((name) => processes.takeDown(name, 'crash'), isUp),

    'crash-between-effects': onEachNode((name, _fault, random) => {
      world.crashBetweenEffects(name, 1 + random.below(effectsMax))
      const release = processes.keepDown(name)
      return () => {
        // It was too quiet to die.
        if (world.isUp(name)) world.crashBetweenEffects(name, Infinity)
        release()
      }
    }, isUp),

    /** Dies and is started again and again, sometimes before it has found anybody. */
    'restart-storm': onEachNode((name, _fault, random) => {
      let release: (() => void) | undefined
      let cancel: () => void = () => undefined
      const turn = (): void => {
        if (release === undefined) release = processes.takeDown(name, 'crash')
        else {
          release()
          release = undefined
        }
        cancel = world.schedule(stormPauseMsMin + random.next() * (stormPauseMsMax - stormPauseMsMin), turn)
      }
      turn()
      return () => {
        cancel()
        release?.()
        processes.ensureUp(name)
      }
    }),

    pause: onEachNode((name) => processes.freeze(name, 'pause'), isUp),
    suspend: onEachNode((name) => processes.freeze(name, 'suspend'), isUp),

    leave: onEachNode((name) => {
      const release = processes.keepDown(name)
      let over = false
      world.leave(name, () => {
        if (over) processes.ensureUp(name)
      })
      return () => {
        // It may be draining still.
        over = true
        release()
      }
    }, processes.isRunning),

    'old-protocol': onEachNode((name, fault) => processes.replaceRelease(name, otherProtocols[fault.amount] ?? 'newer-minor'), processes.isRunning),

    /** Nobody is struck whom some log could not do without: then it would be the mesh that is lost, not one of its nodes. */
    'owner-killed-for-good': (_fault, random) => {
      const spare = world.leaders().filter((name) => world.canSpare(name))
      const name = spare[random.below(Math.max(1, spare.length))]
      // Its connections close with the process, or stay and are silent when the machine goes.
      const how = random.below(2) === 0 ? 'crash' : 'power-cut'
      return name === undefined ? undefined : { nodes: [name], happen: () => processes.takeDown(name, how) }
    },
  } satisfies Partial<Record<FaultKind, Ready>>
}
