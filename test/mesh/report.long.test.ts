/** `repo.report` on a real tree over five real processes: the numbers, who bid, who won, and why. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RepoReport } from '../../node/skills/repo-report/report-model.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { countByCloc, countFolder } from '../support/count-folder.ts'
import { measuringPlan } from '../support/measuring-plan.ts'
import { type LeafRecord, type MissionRecord, bidOf, leavesByWorker, median, recordOf, worthOf } from '../support/mission-records.ts'
import { type RealMesh, namedNodes, startRealMesh } from '../support/real-mesh.ts'
import { repositoryFolder } from '../support/skein-command.ts'
import { type Throttle, throttle } from '../support/throttle.ts'
import { until } from '../support/until.ts'
import { lacksProgram, named } from '../requirements.ts'

const tree = join(repositoryFolder, 'node_modules', 'libp2p')
const submitter = 'node-a'
// An auction ends when all have answered. The window only ends the wait for one that does not, and on a busy machine an answer may take a while.
const patientWindow = ['--set', 'limits.bidWindowMs=4000']

interface MissionDocument {
  readonly id: string
  readonly state: string
  readonly owner: string
  readonly result: { readonly missing: string[]; readonly totals: Record<string, number> }
  readonly saved: string[]
}

function reportIn(document: MissionDocument): RepoReport {
  const json = document.saved.find((path) => path.endsWith('.json'))
  if (json === undefined) throw new Error(`no JSON among ${document.saved.join(', ')}`)
  return RepoReport.parse(JSON.parse(readFileSync(json, 'utf8')))
}

function submitReport(mesh: RealMesh, folder: string): Promise<MissionDocument> {
  return mesh.node(submitter).skein<MissionDocument>(['run', 'repo.report', '--input', `folder=${folder}`, '--output', join(mesh.folder, `report-${mesh.node(submitter).facts('mission.accepted').length}`)])
}

/** Nobody won with a bid that was worth less than another one. */
function expectBestBidsToHaveWon(leaves: readonly LeafRecord[]): void {
  for (const { taskId, attempts } of leaves) {
    for (const attempt of attempts) {
      for (const bid of attempt.bids) expect(worthOf(bid, attempt.bids), `${bid.name} against ${attempt.workerName} for ${taskId}`).toBeLessThanOrEqual(worthOf(attempt.bid, attempt.bids) + 1e-9)
    }
  }
}

describe('five nodes that have never worked before', () => {
  let mesh: RealMesh
  let mission: MissionDocument
  let record: MissionRecord
  beforeAll(async () => {
    mesh = await startRealMesh(namedNodes(5, { flags: ['--slots', '4', ...patientWindow] }))
    mission = await submitReport(mesh, tree)
    record = await recordOf(mesh.node(submitter).client, mission.id)
  }, 240_000)
  afterAll(() => mesh?.stop(), 120_000)

  it('complete a report whose numbers are those of an independent count', () => {
    const counted = countFolder(tree)
    const report = reportIn(mission)
    expect(mission).toMatchObject({ state: 'completed', result: { missing: [] } })
    expect(report.totals).toMatchObject({ files: counted.files, sizeBytes: counted.sizeBytes, textFiles: counted.files, binaryFiles: 0 })
    expect(report.totals.code + report.totals.comment + report.totals.blank).toBe(report.totals.lines)
    expect(report.totals.lines).toBe(counted.lines)
    const manifest = JSON.parse(readFileSync(join(tree, 'package.json'), 'utf8')) as { dependencies: Record<string, string> }
    expect(report.totals.dependencies).toBeGreaterThanOrEqual(Object.keys(manifest.dependencies).length)
  })

  const noCloc = lacksProgram('cloc')
  it.skipIf(noCloc)(named('and agree with cloc on code, comments and blank lines', noCloc), () => {
    const report = reportIn(mission)
    const cloc = countByCloc(tree) ?? {}
    for (const language of ['TypeScript', 'JavaScript', 'Markdown']) {
      const ours = report.languages.find((known) => known.name === language)
      const theirs = cloc[language]
      expect({ language, files: ours?.files, code: ours?.code, comment: ours?.comment, blank: ours?.blank }).toEqual({ language, files: theirs?.nFiles, code: theirs?.code, comment: theirs?.comment, blank: theirs?.blank })
    }
  })

  it('the manager works on another node than the orchestrator', () => {
    const root = record.why.tasks.find((task) => task.capability === 'repo.report')
    expect(mission.owner).toBe(mesh.node(submitter).peerId)
    expect(root?.attempts).toHaveLength(1)
    expect(root?.attempts[0]?.outcome).toBe('accepted')
    expect(root?.attempts[0]?.worker).not.toBe(mission.owner)
  })

  it('the submitter executes no leaf where others bid better, which here is everywhere', () => {
    expect(record.leaves.length).toBeGreaterThanOrEqual(8)
    for (const { attempt, taskId } of record.leaves) {
      expect(attempt.workerName, taskId).not.toBe(submitter)
      // By a standing offer: who else bid is told with the first of them.
      if (attempt.bids.length === 0) continue
      const own = bidOf(attempt, submitter)
      const others = attempt.bids.filter((bid) => bid.name !== submitter)
      expect(own, `the submitter bid for ${taskId} as well`).toBeDefined()
      // Nobody has worked before, all have the same slots and there are enough of them: what differs is that the submitter carries the mission.
      expect(Math.max(...others.map((bid) => worthOf(bid, attempt.bids))), taskId).toBeGreaterThan(own === undefined ? 1 : worthOf(own, attempt.bids))
    }
    expectBestBidsToHaveWon(record.leaves)
  })

  it('every other worker executes some', () => {
    const counts = leavesByWorker(record.leaves)
    expect([...counts.keys()].sort()).toEqual(['node-b', 'node-c', 'node-d', 'node-e'])
  })

  it('bids, awards and results travelled over libp2p', async () => {
    const manager = record.why.tasks.find((task) => task.capability === 'repo.report')?.attempts[0]?.worker ?? ''
    const connections = await mesh.nodes.find((node) => node.peerId === manager)?.client.peers(manager as never) as { connections: { peer: string; addr: string }[] }
    const strangers = record.leaves.filter(({ attempt }) => attempt.worker !== manager)
    expect(strangers.length).toBeGreaterThan(0)
    for (const { attempt } of strangers) {
      const worker = mesh.nodes.find((node) => node.peerId === attempt.worker)
      // The worker's log names the peer that libp2p authenticated as the sender of the award.
      expect(worker?.facts('award.taken').filter((fact) => fact['award'] === attempt.awardId)).toMatchObject([{ from: manager, kind: 'leaf' }])
      expect(worker?.facts('award.done').filter((fact) => fact['award'] === attempt.awardId)).toHaveLength(1)
      // Nothing but libp2p connects the two: different processes, different data folders, no common bridge.
      expect(connections.connections.find((connection) => connection.peer === attempt.worker)?.addr).toMatch(/^\/ip4\/127\.0\.0\.1\/tcp\/\d+/)
    }
    const told = record.leaves.filter(({ attempt }) => attempt.bids.length > 0)
    expect(told.length).toBeGreaterThan(0)
    for (const { attempt } of told) expect(new Set(attempt.bids.map((bid) => bid.peer)).size).toBe(5)
  })

  it('any bridge of the mesh tells the same', async () => {
    for (const { client, name } of mesh.nodes) {
      const [view, result] = await Promise.all([client.mission(mission.id as MissionId), client.result(mission.id as MissionId)])
      expect({ name, state: view.state, totals: (result.result as MissionDocument['result']).totals }).toEqual({ name, state: 'completed', totals: mission.result.totals })
    }
  })
})

describe('five nodes of which one is slow', () => {
  const slow = 'node-e'
  let mesh: RealMesh
  let throttled: Throttle | undefined
  const records: MissionRecord[] = []
  let reports: RepoReport[]
  beforeAll(async () => {
    mesh = await startRealMesh(namedNodes(5, { flags: ['--slots', '2', ...patientWindow] }))
    // It gets a fifth of the time, so whatever it does takes about five times as long.
    throttled = throttle(mesh.node(slow).pid, { runMs: 20, stopMs: 80 }, mesh.env)
    await measureUntilKnown(mesh, slow)
    const missions: MissionDocument[] = []
    for (let round = 0; round < 3; round++) missions.push(await submitReport(mesh, tree))
    for (const { id } of missions) records.push(await recordOf(mesh.node(submitter).client, id))
    reports = missions.map(reportIn)
  }, 400_000)
  afterAll(async () => {
    await throttled?.release()
    await mesh?.stop()
  }, 120_000)

  it('the slow one promises later finishes than those who win against it', () => {
    const measured = leavesOf(records).filter(({ attempt, capability }) => capability === 'repo.measure' && attempt.workerName !== slow && (bidOf(attempt, slow)?.breakdown.samples ?? 0) > 0)
    expect(measured.length).toBeGreaterThan(0)
    const ratios = measured.map(({ attempt }) => (bidOf(attempt, slow)?.estimatedFinishMs ?? 0) / attempt.bid.estimatedFinishMs)
    expect(median(ratios), JSON.stringify(ratios)).toBeGreaterThan(1)
    for (const { attempt, taskId } of measured) {
      const terms = bidOf(attempt, slow)?.terms
      const won = attempt.bid.terms
      if (won === undefined) throw new Error(`${taskId} was bid for, and the record does not say why the winner won`)
      if (terms === undefined || terms.headroom < won.headroom || terms.reliability < won.reliability) continue
      // As free and as reliable as the winner, and not the one who carries the mission: only the finish it promises speaks against it.
      expect(terms.finish, taskId).toBeLessThan(won.finish)
    }
    expectBestBidsToHaveWon(leavesOf(records))
  })

  it('and gets a smaller share of the work', () => {
    const leaves = leavesOf(records)
    const counts = leavesByWorker(leaves)
    const others = leaves.length - (counts.get(slow) ?? 0)
    expect(counts.get(slow) ?? 0, JSON.stringify([...counts])).toBeLessThan(others / 4)
  })

  it('while the report stays the same', () => {
    const [first, ...later] = reports
    for (const report of later) expect(report.totals).toEqual(first?.totals)
    expect(first?.totals.files).toBe(countFolder(tree).files)
  })
})

function leavesOf(records: readonly MissionRecord[]): LeafRecord[] {
  return records.flatMap((record) => record.leaves)
}

/** Everybody measures the same files, as often as it takes until the bids tell the truth: the slow node's is the latest. */
async function measureUntilKnown(mesh: RealMesh, slow: string): Promise<void> {
  const { client } = mesh.node(submitter)
  const slots = 2
  const plan = await measuringPlan(client, join(tree, 'dist'), mesh.nodes.length * slots)
  const seen: string[] = []
  await until(async () => {
    const { id } = await client.submit(plan)
    await until(async () => (await client.mission(id)).state === 'completed', { what: 'a measuring mission', timeoutMs: 120_000 })
    const { leaves } = await recordOf(client, id)
    // Only calls that all of them bid for tell how the promises compare.
    const everybody = leaves.find(({ attempt }) => attempt.bids.length === mesh.nodes.length && attempt.bids.every((bid) => bid.breakdown.samples > 0))
    const bids = [...(everybody?.attempt.bids ?? [])].sort((left, right) => right.calibratedFinishMs - left.calibratedFinishMs)
    seen.push(bids.map((bid) => `${bid.name} ${Math.round(bid.calibratedFinishMs)} ms`).join(', '))
    const [latest, second] = bids
    return latest?.name === slow && second !== undefined && latest.calibratedFinishMs > second.calibratedFinishMs * 1.2
  }, { what: `${slow} to be known as the slowest`, timeoutMs: 300_000, context: () => seen.join('\n') })
}
