/** Limits that a person may change for their node. The defaults are the limits themselves. */
import { limits } from '../protocols/kernel/limits.ts'
import type { DurationMs } from '../protocols/kernel/units.ts'

export interface Tuning {
  readonly leaseMs: DurationMs
  readonly bidWindowMs: DurationMs
  readonly noProviderMs: DurationMs
  readonly drainMs: DurationMs
  readonly managersPerNodeMax: number
  readonly missionsLiveMax: number
  readonly missionsLivePerPrincipalMax: number
  readonly groupPulseMs: DurationMs
  readonly electionMsMin: DurationMs
  readonly electionMsMax: DurationMs
  readonly lostLeaderMsMax: DurationMs
  readonly memberSilentMs: DurationMs
  readonly membersLookMs: DurationMs
  readonly missionRestMs: DurationMs
  readonly failedMissionRestMs: DurationMs
  readonly archiveKeptMs: DurationMs
  /** Blobs in use so lately are not freed. */
  readonly blobIdleMs: DurationMs
  /** Blobs that nothing here cites are freed when they have not been used for so long. */
  readonly uncitedKeptMs: DurationMs
  /** Into how many a mesh that this node founds divides its registrar. */
  readonly registrarShards: number
  readonly snapshotEntries: number
  readonly snapshotTailEntries: number
}

export const defaultTuning: Tuning = {
  leaseMs: limits.leaseMs,
  bidWindowMs: limits.bidWindowMs,
  noProviderMs: limits.noProviderMs,
  drainMs: limits.drainMs,
  managersPerNodeMax: limits.managersPerNodeMax,
  missionsLiveMax: limits.missionsLiveMax,
  missionsLivePerPrincipalMax: limits.missionsLivePerPrincipalMax,
  groupPulseMs: limits.groupPulseMs,
  electionMsMin: limits.electionMsMin,
  electionMsMax: limits.electionMsMax,
  lostLeaderMsMax: limits.lostLeaderMsMax,
  memberSilentMs: limits.memberSilentMs,
  membersLookMs: limits.membersLookMs,
  missionRestMs: limits.missionRestMs,
  failedMissionRestMs: limits.failedMissionRestMs,
  archiveKeptMs: limits.archiveKeptMs,
  blobIdleMs: limits.blobIdleMsMin,
  uncitedKeptMs: limits.uncitedKeptMs,
  registrarShards: limits.registrarShards,
  snapshotEntries: limits.snapshotEntries,
  snapshotTailEntries: limits.snapshotTailEntries,
}
