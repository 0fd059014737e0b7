/** The one place of the benchmark that knows how a log-keeper is made. */
import { logKeeper } from '../../../actors/behaviours/replication/log-keeper.ts'
import { actorNames } from '../../../actors/names.ts'
import { erased } from '../../../actors/runtime/actor.ts'
import type { ActorSystem } from '../../../actors/runtime/system.ts'
import type { Tuning } from '../../../actors/tuning.ts'

export function spawnLogKeeper(system: ActorSystem, tuning: Tuning): void {
  system.spawn(actorNames.logKeeper, erased(logKeeper({ tuning, likesToLead: true })))
}
