/** Names of the actors of a node. Those with an argument are one per mission, award or task. */
import type { ActorAddress, AwardId, MissionId, PeerId } from '../protocols/kernel/ids.ts'
import { hash32 } from '../protocols/kernel/hashing.ts'

export const actorNames = {
  root: 'root',
  directory: 'directory',
  advertiser: 'advertiser',
  participant: 'participant',
  invoker: 'invoker',
  invocations: 'invocations',
  missions: 'missions',
  logKeeper: 'log-keeper',
  roster: 'roster',
  registrar: 'registrar',
  blobKeeper: 'blob-keeper',
  retention: 'retention',
  nodeDesk: 'node-desk',
  orchestrator: (missionId: MissionId) => `orchestrator/${missionId}`,
  /** The manager of an awarded composite task. */
  award: (awardId: AwardId) => `award/${awardId}`,
  /** Whoever executes the leaf tasks of a mission that were awarded to this node; the number tells one from the one before it. */
  worker: (missionId: MissionId, number: number) => `worker/${missionId}/${number}`,
  rootManager: (missionId: MissionId) => `manager/${missionId}`,
} as const

export function at(peer: PeerId, actor: string): ActorAddress {
  return { peer, actor }
}

/** Eight characters of [a-z0-9] that a mission id carries to say which node owns it. */
export function fingerprintOf(peer: PeerId): string {
  return (hash32(peer).toString(36) + hash32(`${peer}#`).toString(36)).padStart(8, '0').slice(-8)
}
