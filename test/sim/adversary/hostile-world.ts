/** A small mesh of honest nodes `a`, `b`, `c` and an adversary `x`, with everything that it says written down. */
import { hash32 } from '../../../protocols/kernel/hashing.ts'
import type { PeerId } from '../../../protocols/kernel/ids.ts'
import type { Message, MessageKind, MessageOf } from '../../../protocols/wire.ts'
import { applyConduct } from '../../../sim/adversary/conduct.ts'
import { virtualPeerId } from '../../../sim/identity-virtual-adapter.ts'
import { Conduct } from '../../../sim/scenario/schema.ts'
import type { ScriptedSkill } from '../../../sim/skill-runner-scripted-adapter.ts'
import { failedActors, missionWorld, type MissionWorld } from '../../actors/mission-world.ts'
import { doubling, summing } from '../../actors/virtual-missions.ts'

export const adversary = virtualPeerId('x')
export const honest = ['a', 'b', 'c'] as const

export interface HostileWorld extends MissionWorld {
  /** What the adversary's messages said that others took, by kind. */
  heard<Kind extends MessageKind>(kind: Kind): MessageOf<Kind>[]
  readonly violations: { readonly from: PeerId; readonly error: unknown }[]
  /** Of everything that reached anybody, in order. */
  trace(): number
  facts(name: string): string[]
  /** Submits sums at `a`, each of `leaves` leaves, and waits for all. @returns their states and results. */
  sums(missions: number, leaves: number): Promise<{ readonly state: string; readonly result: unknown }[]>
}

export async function hostileWorld(seed: number, conduct: unknown, { workMs = 150, speed = 1 }: { workMs?: number; speed?: number } = {}): Promise<HostileWorld> {
  const fromAdversary: Message[] = []
  const violations: HostileWorld['violations'] = []
  let trace = 0
  const parsed = Conduct.parse(conduct)
  const world = missionWorld(seed, () => [doubling(workMs), wary()], {
    onViolation: (from, error) => void violations.push({ from, error }),
    observer: {
      delivered(to, { peer, envelope }) {
        trace = hash32(`${trace} ${world.mesh.clock.nowMs()} ${peer} ${to} ${envelope.message.kind}`)
        if (peer === adversary && to !== adversary) fromAdversary.push(envelope.message)
      },
    },
  })
  for (const name of honest) await world.start(name)
  await world.start('x', { conduct: (ports, parts) => applyConduct(parsed, ports, parts), speed })
  await world.runFor(2_000)

  return {
    ...world, violations,
    heard: <Kind extends MessageKind>(kind: Kind) => fromAdversary.filter((message): message is MessageOf<Kind> => message.kind === kind),
    trace: () => trace,
    facts: (name) => world.node(name).telemetry.facts.map((fact) => fact.name),
    async sums(missions, leaves) {
      const values = Array.from({ length: leaves }, (_, i) => i + 1)
      const submitted = []
      for (let i = 0; i < missions; i++) submitted.push(await world.submit('a', { capability: 'number.sum', input: { values }, limits: { durationMs: 120_000 } }))
      const outcomes = []
      for (const { id } of submitted) {
        const { state } = await world.ended('a', id)
        outcomes.push({ state, result: await world.result('a', id) })
      }
      return outcomes
    },
  }
}

/** Adds up numbers, whatever else an adversary put among them: `NaN` is no JSON. */
function wary(): ScriptedSkill {
  const numberOf = (value: unknown): number => (typeof value === 'number' ? value : 0)
  return { ...summing(), synthesise: (run) => ({ afterMs: 5, output: (run.children ?? []).reduce((sum, { output }) => sum + numberOf(output !== undefined && 'inline' in output ? output.inline : 0), 0) }) }
}

/** What must hold on the honest nodes, whatever the adversary does. */
export function harm(world: MissionWorld): string[] {
  return failedActors(world).filter((line) => !line.startsWith('x:'))
}
