/**
 * Bugs in the replicated log itself: what a tired programmer might have made of Raft. They are hunted where the machine is all
 * there is, in `test/protocols/replicated-log/raft-chaos.ts`: a mesh shows most of them only once in very many seeds.
 */
import type { SourceBug } from './bug-table.ts'

export interface LogBug extends SourceBug {
  /** What the harness says of it. Of several, whichever shows first. */
  readonly shows: readonly string[]
}

const election = 'protocols/replicated-log/raft-election.ts'
const following = 'protocols/replicated-log/raft-following.ts'
const leading = 'protocols/replicated-log/raft-leading.ts'
const log = 'protocols/replicated-log/raft-log.ts'
const quorum = 'protocols/replicated-log/raft-quorum.ts'
const reads = 'protocols/replicated-log/raft-reads.ts'
const state = 'protocols/replicated-log/raft-state.ts'
const snapshots = 'protocols/replicated-log/raft-snapshots.ts'

const twoLeaders = 'election safety'
const disagree = 'state-machine safety'
const incomplete = 'leader completeness'
const unlike = 'log matching'
const lost = 'an acknowledged append is lost'
const stale = 'a stale read'
const contradicted = 'contradicts'
const overwritten = 'would overwrite'
const stuck = 'liveness'

export const logBugs: readonly LogBug[] = [
  {
    name: 'two-votes-in-one-epoch', shows: [twoLeaders],
    why: 'whoever asks may have it: a vote costs nothing',
    edits: [{ file: election, find: 'const granted = willing && (state.votedFor === undefined || state.votedFor === from)', replace: 'const granted = willing' }],
  },
  {
    name: 'votes-for-who-lacks-entries', shows: [incomplete, disagree, contradicted, overwritten, lost],
    why: 'a new leader will fetch what it lacks',
    edits: [{ file: election, find: ' && upToDate(ask.last, state.last)', replace: ' && (upToDate(ask.last, state.last) || ask.last.index > 0)' }],
  },
  {
    name: 'longer-is-newer', shows: [incomplete, disagree, contradicted, overwritten, lost],
    why: 'the longest log has the most in it',
    edits: [{ file: election, find: 'return (compareEpochs(theirs.epoch, ours.epoch) || theirs.index - ours.index) >= 0', replace: 'return (theirs.index - ours.index || compareEpochs(theirs.epoch, ours.epoch)) >= 0' }],
  },
  {
    name: 'leads-before-its-own-vote-is-kept', shows: [twoLeaders],
    why: 'who is alone need not wait for anybody',
    edits: [{ file: election, find: 'membership === undefined || state.epochPersist > state.synced) return', replace: 'membership === undefined || state.epochPersist > state.synced + 1_000) return' }, { file: election, find: '  if (alone) {\n    state.electionAtMs = Number.POSITIVE_INFINITY\n', replace: '  if (alone) {\n    state.electionAtMs = Number.POSITIVE_INFINITY\n    leadAlone(state, now)\n' }],
  },
  {
    name: 'vote-told-before-its-sync', shows: [twoLeaders],
    why: 'who asks for votes is in a hurry, and the disk is not',
    edits: [{ file: state, find: 'message, after: promises ? afterAll : afterEpoch }))', replace: "message, after: message.kind === 'vote' ? 0 : promises ? afterAll : afterEpoch }))" }],
  },
  {
    name: 'pre-vote-skipped', shows: [stuck],
    why: 'asking twice takes twice as long',
    edits: [{ file: election, find: 'const asksOnly = pre && !alone', replace: 'const asksOnly = pre && alone' }],
  },
  {
    name: 'fenced-append-taken', shows: [incomplete, disagree, contradicted, overwritten, lost],
    why: 'what a leader has sent is good, whoever was elected since',
    edits: [{ file: following, find: '  if (newer < 0) {\n    answer(state, from, asked, false, 0)\n    return false\n  }\n', replace: '' }, { file: following, find: 'epoch: state.epoch ?? epoch, ok, matched, round', replace: 'epoch, ok, matched, round' }],
  },
  {
    name: 'newer-epoch-not-adopted', shows: [stuck, disagree, incomplete, contradicted, overwritten, lost, stale],
    why: 'the epoch is in the entries, a follower need not remember it',
    edits: [{ file: following, find: '  if (newer > 0) adopt(state, asked.epoch, nowMs)\n', replace: '' }],
  },
  {
    name: 'match-told-before-its-sync', shows: [lost, incomplete, disagree, contradicted, overwritten, stuck],
    why: 'what is in memory will soon be on the disk',
    edits: [{ file: following, find: 'ok, matched, round }, true)', replace: 'ok, matched, round }, false)' }],
  },
  {
    name: 'tail-kept', shows: ['numbered without a gap'],
    why: 'what is too much does no harm at the end of a log',
    edits: [{ file: following, find: '    truncateLog(state, first.index)\n', replace: '' }],
  },
  {
    name: 'tail-cut-in-memory-only', shows: [disagree, incomplete, contradicted, overwritten, lost, unlike, 'gap'],
    why: 'the disk will be overwritten by what comes next',
    edits: [{ file: log, find: '  box.truncateFrom = Math.min(from, box.truncateFrom ?? from)\n', replace: '' }],
  },
  {
    name: 'meeting-point-not-checked', shows: [disagree, incomplete, contradicted, overwritten, lost, unlike, stuck],
    why: 'the same index is the same entry',
    edits: [{ file: following, find: 'if (ours.chain !== previous.chain || !sameEpoch(ours.epoch, previous.epoch)) {', replace: 'if (ours.index !== previous.index) {' }],
  },
  {
    name: 'old-epoch-committed-by-counting', shows: [disagree, incomplete, contradicted, overwritten, lost],
    why: 'what a majority has is committed, whoever wrote it',
    edits: [{ file: leading, find: 'if (index <= state.commit || index < leading.openedAt) return\n', replace: 'if (index <= state.commit) return\n' }],
  },
  {
    name: 'unsynced-copy-counted', shows: [lost, incomplete, disagree, contradicted, overwritten],
    why: 'the leader has it, after all',
    edits: [{ file: leading, find: 'state.syncedIndex : 0', replace: 'state.last.index : 0' }],
  },
  {
    name: 'any-voter-is-enough', shows: [lost, incomplete, disagree, contradicted, overwritten],
    why: 'somebody has it',
    edits: [{ file: quorum, find: 'return values[Math.floor(values.length / 2)] as number', replace: 'return values[0] as number' }],
  },
  {
    name: 'outgoing-voters-forgotten', shows: [lost, incomplete, disagree, contradicted, overwritten, twoLeaders],
    why: 'those who leave have nothing to say any more',
    edits: [
      { file: quorum, find: 'return membership.outgoing === undefined ? incoming : Math.min(incoming, reached(membership.outgoing, valueOf))', replace: 'return incoming' },
      { file: quorum, find: 'return majority(membership.voters, holds) && (membership.outgoing === undefined || majority(membership.outgoing, holds))', replace: 'return majority(membership.voters, holds)' },
    ],
  },
  {
    name: 'learner-counted', shows: [lost, incomplete, disagree, contradicted, overwritten, twoLeaders],
    why: 'a copy is a copy, whoever has it',
    edits: [
      { file: quorum, find: 'const incoming = reached(membership.voters, valueOf)', replace: 'const incoming = reached([...membership.voters, ...membership.learners].filter((member) => valueOf(member) > 0).concat(membership.voters).slice(0, membership.voters.length), valueOf)' },
    ],
  },
  {
    name: 'any-change-is-safe', shows: [lost, incomplete, disagree, contradicted, overwritten, twoLeaders],
    why: 'whoever proposes the members has thought about them',
    edits: [{ file: leading, find: 'const unsafe = membership === undefined ? undefined : unsafeChange(membership, next)', replace: 'const unsafe = membership === undefined ? unsafeChange(next, next) : undefined' }],
  },
  {
    name: 'lease-trusted-for-a-read', shows: [stale],
    why: 'it has heard from a majority lately, so it leads',
    edits: [{ file: reads, find: '(follower.answeredRound > round || follower.answeredPulseMs > askedAtMs)', replace: 'follower.heardAtMs > 0' }],
  },
  {
    name: 'read-before-its-epoch-is-committed', shows: [stale],
    why: 'what this leader knows to be committed is what there is',
    edits: [{ file: reads, find: 'leading.reads[0].index <= state.commit && isConfirmed(', replace: 'leading.reads[0].index > 0 && isConfirmed(' }],
  },
  {
    name: 'answer-of-before-the-question', shows: [stale],
    why: 'an answer is an answer',
    edits: [{ file: reads, find: 'follower.answeredRound > round ||', replace: 'follower.answeredRound > round - 20 ||' }],
  },
  {
    name: 'snapshot-over-what-follows-it', shows: [lost, incomplete, disagree, contradicted, overwritten, 'gap', stuck],
    why: 'a snapshot has everything in it',
    edits: [{ file: snapshots, find: 'const shortens = ours?.chain === at.chain\n', replace: 'const shortens = ours?.chain === at.chain && at.index < 0\n' }],
  },
  {
    name: 'incarnation-ignored', shows: [lost, incomplete, disagree, twoLeaders, contradicted],
    why: 'it is the same node, so it is the same member',
    edits: [
      { file: 'protocols/replicated-log/raft.ts', find: 'if (message.toward !== state.init.incarnation) {', replace: "if (message.toward === '') {" },
      { file: election, find: 'if (member.incarnation !== vote.as) {', replace: "if (vote.as === '') {" },
      { file: 'protocols/replicated-log/raft-replication.ts', find: 'if (known.incarnation !== answer.as) {', replace: "if (answer.as === '') {" },
    ],
  },
]
