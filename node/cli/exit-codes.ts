/** How a command ends: one number per kind of ending, one total map from error codes. */
import type { ErrorCode } from '../../protocols/kernel/errors.ts'
import type { MissionState } from '../../protocols/tasking/schema.ts'

export const exitCodes = {
  /** The mission completed; the question was answered. */
  completed: 0,
  /** The mission failed, was cancelled or orphaned; a skill or this program broke. */
  failed: 1,
  /** The command line, input, plan or configuration is wrong: mend it and run it again. */
  badUsage: 2,
  /** The mesh understood and said no, before anything was done. */
  refused: 3,
  /** No answer: it may or may not have happened. Ask again, a submission with the same key. */
  unknown: 4,
  /** Ctrl-C: the command let go, the mission goes on. */
  detached: 130,
} as const
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

const { failed, badUsage, refused, unknown } = exitCodes

const byCode: Readonly<Record<ErrorCode, ExitCode>> = {
  'bad-request': badUsage,
  'bad-input': badUsage,
  'bad-plan': badUsage,
  'not-available': badUsage,
  'unknown-capability': refused,
  'version-mismatch': refused,
  'no-provider': refused,
  'unknown-mission': refused,
  'unknown-task': refused,
  'unknown-blob': refused,
  'key-conflict': refused,
  'wrong-state': refused,
  'too-large': refused,
  'over-limit': refused,
  overloaded: refused,
  unauthorised: refused,
  forbidden: refused,
  fenced: refused,
  'owner-unreachable': unknown,
  timeout: unknown,
  'storage-failed': unknown,
  'deadline-exceeded': failed,
  'skill-failed': failed,
  'skill-timeout': failed,
  'skill-out-of-memory': failed,
  'skill-silent': failed,
  'skill-exited': failed,
  'context-overflow': failed,
  'provider-failed': failed,
  'bad-output': failed,
  'lost-worker': failed,
  cancelled: failed,
  internal: failed,
}

/** The exit code of a command that ended in an error. */
export function exitCodeOf(code: ErrorCode): ExitCode {
  return byCode[code]
}

/** The exit code of a command that followed a mission to this state; `unknown` for one that has not ended. */
export function exitCodeOfState(state: MissionState): ExitCode {
  if (state === 'completed') return exitCodes.completed
  return state === 'failed' || state === 'cancelled' || state === 'orphaned' ? exitCodes.failed : exitCodes.unknown
}
