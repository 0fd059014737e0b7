/** The first actor of a node: spawns the rest, in an order in which each finds whom it greets. */
import { manager } from './manager.ts'
import { worker } from './worker.ts'
import { invocations } from './invocations.ts'
import { invoker } from './invoker.ts'
import { advertiser, type AdvertiserInit } from './advertiser.ts'
import { directory } from './directory.ts'
import { missions, type MissionsInit } from './missions.ts'
import { participant } from './participant.ts'
import { registrar } from './registrar.ts'
import { blobKeeper } from './replication/blob-keeper.ts'
import { logKeeper } from './replication/log-keeper.ts'
import { retention } from './replication/retention.ts'
import { roster } from './roster.ts'
import type { Award } from '../../protocols/bidding/schema.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { actorNames } from '../names.ts'
import { erased, type Behaviour } from '../runtime/actor.ts'
import type { Effect, Spawnable } from '../runtime/effects.ts'

export interface RootInit extends AdvertiserInit, MissionsInit {
  readonly slots: number
  readonly refuseOnBattery: boolean
  /** See `MeshNodeOptions`. */
  readonly founds: boolean
  readonly domain: string
}

export function root(init: RootInit): Behaviour<null> {
  return {
    kind: 'root',
    // A failure that reached the root could not be contained: the node's log is what recovers it.
    supervision: 'escalate',
    start() {
      const worksHere = init.duties.includes('worker')
      const participantInit = { name: init.name, slots: worksHere ? init.slots : 0, capabilities: worksHere ? init.capabilities : [], refuseOnBattery: init.refuseOnBattery, nodesExpected: init.nodesExpected, tuning: init.tuning, managerOf: (award: Award) => managerOf(award, init), workerOf: (missionId: MissionId) => erased(worker(missionId)) }
      const children: [string, Spawnable][] = [
        [actorNames.directory, erased(directory({ name: init.name, release: init.release, nodesExpected: init.nodesExpected }))],
        [actorNames.logKeeper, erased(logKeeper({ tuning: init.tuning, likesToLead: init.duties.some((duty) => duty !== 'replica') }))],
        [actorNames.blobKeeper, erased(blobKeeper())],
        [actorNames.registrar, erased(registrar({ tuning: init.tuning }))],
        [actorNames.roster, erased(roster({ name: init.name, founds: init.founds, replica: init.replica, domain: init.domain, tuning: init.tuning }))],
        [actorNames.participant, erased(participant(participantInit))],
        [actorNames.invocations, erased(invocations())],
        [actorNames.invoker, erased(invoker({ tuning: init.tuning }))],
        [actorNames.advertiser, erased(advertiser({ ...init, capabilities: participantInit.capabilities }))],
        [actorNames.missions, erased(missions(init))],
        [actorNames.retention, erased(retention({ tuning: init.tuning }))],
      ]
      return { state: null, effects: children.map(([name, behaviour]): Effect => ({ type: 'spawn', name, behaviour })) }
    },
    receive: (_state, { message }) =>
      message.kind === 'child-failed' ? [{ type: 'give-up', reason: `${message.name} failed: ${message.reason}` }] : [],
  }
}

function managerOf(award: Award, init: RootInit): Spawnable {
  return erased(manager({ missionId: award.missionId, taskId: award.taskId, awardId: award.awardId, epoch: award.epoch, orchestrator: award.orchestrator, principal: award.principal, tuning: init.tuning, award }))
}
