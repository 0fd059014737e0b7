/** Wires that are cut, slow or unreliable. */
import type { LinkConditions } from '../network/network.ts'
import type { FaultKind } from '../scenario/schema.ts'
import { createOverlaps, onEachNode, type Ready } from './ready.ts'
import type { FaultWorld } from './world.ts'

export function networkFaults(world: FaultWorld) {
  const { network } = world
  const peersOf = (names: readonly string[]) => names.map((name) => world.peerOf(name))
  const otherSideOf = (names: readonly string[]) => {
    const side = new Set(names)
    return peersOf(world.names.filter((name) => !side.has(name)))
  }

  const slowness = createOverlaps<number>((pair, factors) => {
    const [left, right] = peersOf(pair.split(' ')) as [ReturnType<FaultWorld['peerOf']>, ReturnType<FaultWorld['peerOf']>]
    if (factors.length === 0) network.restoreLink(left, right)
    else network.slowLink(left, right, Math.max(...factors))
  })

  /** Before the first of the faults that overlap now. */
  const calm = new Map<string, number>()
  const disturbance = createOverlaps<number>((condition, fractions) => {
    const field = condition as keyof LinkConditions
    const before = calm.get(field) ?? network.conditions()[field]
    if (fractions.length === 0) calm.delete(field)
    else calm.set(field, before)
    network.setConditions({ [field]: fractions.length === 0 ? before : 1 - [before, ...fractions].reduce((kept, fraction) => kept * (1 - fraction), 1) })
  })
  const disturb = (field: keyof LinkConditions): Ready => (fault) => ({ nodes: [], happen: () => disturbance.add(field, fault.amount) })

  return {
    partition: (fault) => ({ nodes: fault.nodes, happen: () => network.partition(peersOf(fault.nodes), otherSideOf(fault.nodes)) }),

    'one-way-partition': (fault, random) => {
      const sides = [peersOf(fault.nodes), otherSideOf(fault.nodes)] as const
      const [from, to] = random.below(2) === 0 ? sides : [sides[1], sides[0]]
      return { nodes: fault.nodes, happen: () => network.partitionOneWay(from, to) }
    },

    /** The two see everybody but each other. */
    'non-transitive-partition': (fault) => {
      const [left, right] = peersOf(fault.nodes)
      return left === undefined || right === undefined ? undefined : { nodes: fault.nodes, happen: () => network.partition([left], [right]) }
    },

    isolate: onEachNode((name) => network.isolate(world.peerOf(name))),

    /** From everybody, or all but one; it hears them still, or they hear it, or neither. */
    'leader-isolated': (_fault, random) => {
      const leaders = world.leaders()
      const name = leaders[random.below(Math.max(1, leaders.length))]
      if (name === undefined) return undefined
      const others = world.names.filter((other) => other !== name)
      const left = others.length > 1 && random.below(2) === 0 ? others[random.below(others.length)] : undefined
      const [self, far] = [peersOf([name]), peersOf(others.filter((other) => other !== left))]
      const cuts = [() => network.partition(self, far), () => network.partitionOneWay(self, far), () => network.partitionOneWay(far, self)] as const
      return { nodes: [name], happen: cuts[random.below(cuts.length)]! }
    },

    'slow-link': (fault) => ({ nodes: fault.nodes, happen: () => slowness.add(fault.nodes.toSorted().join(' '), fault.amount) }),
    loss: disturb('lossFraction'),
    duplication: disturb('duplicationFraction'),
    reordering: disturb('reorderingFraction'),

    'connection-reset': (fault) => {
      const [from, to] = peersOf(fault.nodes)
      if (from === undefined || to === undefined) return undefined
      return {
        nodes: fault.nodes,
        happen() {
          network.resetAfterSend(from, to)
          return () => undefined
        },
      }
    },
  } satisfies Partial<Record<FaultKind, Ready>>
}
