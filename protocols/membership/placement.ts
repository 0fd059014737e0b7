/** Where things are kept: a mission's registrar shard is in its id; a log's members are chosen (`rendezvous.ts`) and looked after (`maintenance.ts`). */
import { invariant } from '../kernel/errors.ts'
import { hash32 } from '../kernel/hashing.ts'
import { GroupId, MissionId, type Principal } from '../kernel/ids.ts'
import { limits } from '../kernel/limits.ts'

export { nextMembership, votersFor, waitsForSpare, type MaintenanceInput } from './maintenance.ts'
export { chooseMembers, fillMembers, rank } from './rendezvous.ts'

/** The shard of all missions that a principal asks for under one key: as a log keeps it, well-formed. */
export function registrarShardOf(principal: Principal, key: string): number {
  return hash32(`${principal} ${key.toWellFormed()}`) % limits.registrarShards
}

/**
 * `m-<shard, two digits><six characters of `fingerprint`>-<random>`: whoever knows a mission's id knows its shard.
 * @param fingerprint at least six characters of [a-z0-9]: of the node that the mission was handed to
 * @param random twelve characters of [a-z0-9]
 */
export function missionIdFor(shard: number, fingerprint: string, random: string): MissionId {
  return MissionId.parse(`m-${twoDigits(shard)}${fingerprint.slice(0, 6)}-${random}`)
}

/** A new mission's id. With a key its shard is the key's, so that a claim is one entry in one log; without, it is drawn. */
export function newMissionId(principal: Principal, key: string | undefined, fingerprint: string, random: string): MissionId {
  return missionIdFor(key === undefined ? hash32(random) % limits.registrarShards : registrarShardOf(principal, key), fingerprint, random)
}

/** Ids of earlier releases name no shard: theirs is drawn from the whole id, the same at every node. */
export function shardOfMission(missionId: MissionId): number {
  const digits = missionId.slice(2, 4)
  const shard = /^\d\d$/.test(digits) ? Number(digits) : Infinity
  return shard < limits.registrarShards ? shard : hash32(missionId) % limits.registrarShards
}

/** The shard that serves a mission in a mesh of so many. */
export function servingShard(missionId: MissionId, shards: number): number {
  return shardOfMission(missionId) % shards
}

export function shardGroup(shard: number): GroupId {
  return GroupId.parse(`registrar-${twoDigits(shard)}`)
}

/** @returns undefined when the group is no registrar shard of this mesh. */
export function shardOfGroup(group: GroupId): number | undefined {
  if (!group.startsWith('registrar-')) return undefined
  const shard = Number(group.slice('registrar-'.length))
  return shard < limits.registrarShards ? shard : undefined
}

function twoDigits(shard: number): string {
  invariant(Number.isInteger(shard) && shard >= 0 && shard < limits.registrarShards && limits.registrarShards <= 100, `${shard} is a registrar shard`)
  return String(shard).padStart(2, '0')
}
