/** What a mission's log is folded into: the mission, its tasks, their attempts. `mission-state.ts` folds. */
import type { RunUnits } from '../bidding/schema.ts'
import type { Fault } from '../kernel/errors.ts'
import type { AwardId, Epoch, MissionId, PeerId, Principal, TaskId } from '../kernel/ids.ts'
import type { Payload } from '../kernel/payload.ts'
import type { WallMs } from '../kernel/units.ts'
import type { Membership } from '../membership/schema.ts'
import type { Acknowledgement, AwardRecord, MissionLimits, MissionState, TaskSpec, TaskState } from './schema.ts'

export interface Attempt {
  readonly award: AwardRecord
  readonly awardedAtWallMs: WallMs
  endedAtWallMs?: WallMs
  outcome: 'running' | 'accepted' | 'refused' | 'lost' | 'failed' | 'cancelled'
  fault?: Fault
}

export interface TaskNode {
  readonly spec: TaskSpec
  state: TaskState
  readonly attempts: Attempt[]
  children: TaskId[]
  planned: boolean
  /** How often its plan was added to; absent: never. */
  rounds?: number
  /** Dead, and its parent's plan was added to because of that: done without. */
  givenUp?: boolean
  /** What it has cost, with all attempts that said so. */
  costUsd?: number
  /** Of models, by its result. */
  tokens?: RunUnits
  /** Of a composite task with a budget: what is spent or set aside of it. */
  heldUsd?: number
  /** Of a plan: what its result is made of. */
  planResult?: Payload
  /** The newest that an attempt has published, until the task has its result. */
  checkpoint?: Payload
  result?: Payload
  acceptedAward?: AwardId
  /** Its result is another mission's. */
  reusedFrom?: MissionId
  tookMs?: number
  fault?: Fault
  failures: number
  losses: number
  /** Wall time before which the next attempt must not be announced. */
  notBeforeWallMs: WallMs
  diedAtWallMs?: WallMs
  /** Dead, and somebody has seen enough of it. */
  droppedAtWallMs?: WallMs
}

export interface MissionFold {
  missionId: MissionId
  name: string
  principal: Principal
  owner: PeerId
  epoch: Epoch
  state: MissionState
  paused: boolean
  cancelling: boolean
  priority: number
  limits: MissionLimits
  acknowledgement: Acknowledgement
  submittedAtWallMs: WallMs
  endedAtWallMs?: WallMs
  request: Payload
  /** It continues another mission from this task on. */
  forkOf?: { readonly missionId: MissionId; readonly taskId: TaskId }
  readonly tasks: Map<TaskId, TaskNode>
  lastIndex: number
  leaves: number
  /** What is spent, and what live awards have set aside. */
  spentUsd: number
  result?: Payload
  fault?: Fault
  /** Who keeps the log, as the newest entry about it says. */
  members?: Membership
  /** Of an ended mission: everything about it. Its state stays what it was. */
  archive?: Payload
}
