/** What the agents' capabilities are, without how they do it. `skills.ts` adds the code. */
import { PlanInput, PlanOutput, ReviewInput, ReviewOutput, WorkInput, WorkOutput } from './schema.ts'

const version = '1.0'
const MiB = 1024 * 1024
const minuteMs = 60_000
/** They call models: a part of the mission's budget is theirs. */
const spends = { spends: true }
/** An agent mostly waits for what it calls, which must find a place. */
const agentsAtOnce = 32

/** In the order in which `skills.ts` has them. */
export const declared = {
  plan: {
    kind: 'composite',
    revises: true,
    capability: 'agent.plan',
    version,
    summary: 'Plans a goal given in words, has its parts done by agents and other capabilities, mends what reviews refuse, and writes the result with citations.',
    effects: 'none',
    attributes: spends,
    limits: { timeMs: 30 * minuteMs, memoryBytes: 512 * MiB },
    input: PlanInput,
    output: PlanOutput,
  },
  work: {
    kind: 'leaf',
    capability: 'agent.work',
    version,
    summary: 'An agent under a role does one task: thinks, reads, writes, calls capabilities without effects outside.',
    effects: 'none',
    attributes: spends,
    slots: agentsAtOnce,
    limits: { timeMs: 20 * minuteMs, memoryBytes: 512 * MiB },
    input: WorkInput,
    output: WorkOutput,
  },
  act: {
    kind: 'leaf',
    capability: 'agent.act',
    version,
    summary: 'Like agent.work, but the agent may also call those capabilities with effects outside that its role names.',
    effects: 'external',
    attributes: spends,
    slots: agentsAtOnce,
    limits: { timeMs: 20 * minuteMs, memoryBytes: 512 * MiB },
    input: WorkInput,
    output: WorkOutput,
  },
  review: {
    kind: 'leaf',
    capability: 'agent.review',
    version,
    summary: 'Judges results against their goals and criteria, by another model than wrote them where there is one: accepted or not, score, reasons, contradictions.',
    effects: 'none',
    attributes: spends,
    slots: agentsAtOnce,
    limits: { timeMs: 20 * minuteMs, memoryBytes: 512 * MiB },
    input: ReviewInput,
    output: ReviewOutput,
  },
} as const
