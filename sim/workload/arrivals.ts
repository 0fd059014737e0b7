/** Everything that a scenario's submitters will ask for, and when: drawn before the run, so that nothing in the run can change it. */
import { limits } from '../../protocols/kernel/limits.ts'
import type { Random } from '../../protocols/kernel/prng.ts'
import type { InstantMs } from '../../protocols/kernel/units.ts'
import { isNamed, type PlannedNode, unknownName } from '../scenario/expand.ts'
import type { Scenario, ScenarioSkill, Workload } from '../scenario/schema.ts'
import { modelWorkMs, type ModelInput } from './leaf-work.ts'
import { drawLuck, fate, planMission, roundMs, type MissionSetting, type PlannedLeaf, type PlannedMission, type RequestInput } from './mission-plans.ts'
import { parseTrace, type TraceRequest } from './trace-format.ts'

/** One mission's submission. */
export interface Arrival {
  /** In the order of arrival, from 0. */
  readonly index: number
  readonly atMs: InstantMs
  /** The bridge's name. */
  readonly node: string
  readonly principal: string
  /** Idempotency key; no two arrivals share one. */
  readonly key: string
  readonly request: RequestInput
  readonly leaves: readonly PlannedLeaf[]
}

/**
 * @param random every workload draws from a stream of its own.
 * @param traces the text of each trace by the name that the scenario gives it.
 * @param untilMs cuts the list short: the rest is a prefix of the whole list.
 * @returns by time; workloads that ask at the same instant in the scenario's order.
 * @throws Error when the scenario contradicts itself: no bridge to submit to, an undeclared skill, a missing or malformed trace.
 */
export function planArrivals(scenario: Scenario, nodes: readonly PlannedNode[], random: Random, traces: ReadonlyMap<string, string>, untilMs = Infinity): Arrival[] {
  const setting: MissionSetting = { skillOf: new Map(scenario.skills.map((skill) => [skill.capability, skill])), speedMin: Math.min(...nodes.map((node) => node.speed)) }
  const streams = scenario.workload.map(() => random.split())
  const all = scenario.workload.flatMap((workload, at) => arrivalsOf({ scenario, workload, label: `w${at + 1}`, nodes, random: streams[at] as Random, traces, untilMs, setting }))
  return all.sort((left, right) => left.atMs - right.atMs).map((arrival, index) => ({ index, ...arrival }))
}

interface OneWorkload<Kind extends Workload = Workload> {
  readonly scenario: Scenario
  readonly workload: Kind
  /** Short, and different for each workload. */
  readonly label: string
  readonly nodes: readonly PlannedNode[]
  readonly random: Random
  readonly traces: ReadonlyMap<string, string>
  readonly untilMs: InstantMs
  readonly setting: MissionSetting
}

function arrivalsOf(one: OneWorkload): Omit<Arrival, 'index'>[] {
  const { workload, scenario, label, random } = one
  const unknown = unknownName(one.nodes, workload.submitters)
  if (unknown !== undefined) throw new Error(`the workload names the submitter '${unknown}', but the scenario has no such node or group: name one that it has`)
  const bridges = one.nodes.filter((node) => node.group.duties.includes('bridge') && isNamed(node, workload.submitters)).map((node) => node.name)
  if (bridges.length === 0) throw new Error(workload.submitters === undefined ? `no node has the duty 'bridge': nobody can submit, give one that duty` : `none of the submitters ${workload.submitters.join(', ')} is a node with the duty 'bridge': give one of them that duty`)
  const found: Omit<Arrival, 'index'>[] = []
  const add = (atMs: InstantMs, mission: PlannedMission): void => {
    const count = found.length
    found.push({ atMs, node: bridges[count % bridges.length] as string, principal: `p${random.below(workload.principals) + 1}`, key: `${scenario.name}-${label}-${count + 1}`, ...mission })
  }
  const span = { fromMs: workload.fromMs, untilMs: Math.min(workload.untilMs ?? Infinity, scenario.durationMs) }
  if (workload.kind === 'trace') addTrace({ ...one, workload }, span, add)
  else for (const atMs of instants(workload, span, one.untilMs, random)) add(atMs, planMission(workload.mission, `${label}-${found.length + 1}`, random, one.setting))
  return found
}

interface Span {
  readonly fromMs: InstantMs
  readonly untilMs: InstantMs
}

function* instants(workload: Exclude<Workload, { kind: 'trace' }>, { fromMs, untilMs }: Span, cutMs: InstantMs, random: Random): Generator<InstantMs> {
  const endMs = Math.min(untilMs, cutMs)
  if (workload.kind === 'count') {
    for (let at = 0; at < workload.missions; at++) {
      const atMs = fromMs + (at * Math.max(0, untilMs - fromMs)) / workload.missions
      if (atMs >= cutMs) return
      yield atMs
    }
    return
  }
  const meanMs = 1_000 / workload.perSecond
  for (let atMs = fromMs - Math.log(1 - random.next()) * meanMs; atMs < endMs; atMs -= Math.log(1 - random.next()) * meanMs) yield atMs
}

type TraceWorkload = Extract<Workload, { kind: 'trace' }>

function addTrace(one: OneWorkload<TraceWorkload>, span: Span, add: (atMs: InstantMs, mission: PlannedMission) => void): void {
  const { workload, setting, random, label } = one
  const text = one.traces.get(workload.file)
  if (text === undefined) throw new Error(`the trace '${workload.file}' of the workload was not given`)
  const skill = setting.skillOf.get(workload.capability)
  if (skill?.model === undefined) throw new Error(`a trace needs a capability with a 'model', and '${workload.capability}' ${skill === undefined ? 'is not declared under \'skills\'' : 'has none'}`)
  const requests = parseTrace(text, workload.file).slice(0, workload.requestsMax)
  if (!requests.some((request) => workOf(skill, request) > 0)) throw new Error(`no request of the trace '${workload.file}' has a token: give it requests with tokens`)
  const stretch = stretchOf(requests, skill, one)
  const meanWorkMs = requests.reduce((sum, request) => sum + workOf(skill, request), 0) / requests.length
  const meanOutputTokens = requests.reduce((sum, request) => sum + request.outputTokens, 0) / requests.length
  let count = 0
  for (const request of requests) {
    const atMs = span.fromMs + request.afterMs * stretch
    if (atMs >= Math.min(span.untilMs, one.untilMs)) return
    count += 1
    // Whoever asks knows how long the prompt is, and of the answer only what answers are like. 1 is the mean request.
    const effort = Math.max(0.001, Math.round((modelWorkMs(skill.model, request.promptTokens, meanOutputTokens) / meanWorkMs) * 1_000) / 1_000)
    add(atMs, traceMission(skill, workload, { n: `${label}-${count}`, promptTokens: request.promptTokens, outputTokens: request.outputTokens, luck: drawLuck(random) }, effort, setting.speedMin))
  }
}

function workOf(skill: ScenarioSkill, request: TraceRequest): number {
  return skill.model === undefined ? 0 : modelWorkMs(skill.model, request.promptTokens, request.outputTokens)
}

/** What the trace's time is multiplied with: the whole trace's work, over what the mesh can do in the stretched time, is the load asked for. */
function stretchOf(requests: readonly TraceRequest[], skill: ScenarioSkill, { workload, nodes }: OneWorkload<TraceWorkload>): number {
  if (workload.load === undefined) return 1
  const workPerMs = nodes.filter((node) => node.group.duties.includes('worker') && node.skills.includes(skill)).reduce((sum, node) => sum + node.group.slots * node.speed, 0)
  if (workPerMs === 0) throw new Error(`no node offers '${workload.capability}': its load cannot be ${workload.load}`)
  const recordedMs = requests.at(-1)?.afterMs ?? 0
  const workMs = requests.reduce((sum, request) => sum + workOf(skill, request), 0)
  return recordedMs === 0 ? 1 : workMs / workPerMs / workload.load / recordedMs
}

function traceMission(skill: ScenarioSkill, workload: TraceWorkload, input: ModelInput, effort: number, speedMin: number): PlannedMission {
  const workMs = modelWorkMs(skill.model as NonNullable<ScenarioSkill['model']>, input.promptTokens, input.outputTokens)
  const costUsd = skill.costUsd + ((input.promptTokens + input.outputTokens) / 1_000) * (skill.model?.usdPerThousandTokens ?? 0)
  return {
    request: {
      plan: { tasks: { t1: { capability: skill.capability, input, effort } }, result: { $from: 't1' } }, priority: workload.priority,
      limits: { budgetUsd: Math.max(limits.missionBudgetUsdDefault, costUsd * limits.attemptsMax * 2), durationMs: Math.max(limits.missionDurationMsDefault, Math.ceil((workMs / speedMin) * limits.attemptsMax * 2)) },
    },
    leaves: [{ name: 't1', after: [], capability: skill.capability, effort, workMs: roundMs(workMs), ...fate(input.luck, skill) }],
  }
}
