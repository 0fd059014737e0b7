/**
 * The work of a campaign: leaves that note their start and their end in a ledger outside the mesh, one synced line each, and a composite task
 * that plans some of them. Every run is noted, whatever becomes of its result.
 */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineSkill, z } from 'skein/skill'

const leaf = z.object({
  ledger: z.string(),
  /** The submitter's key of the mission. */
  mission: z.string(),
  label: z.string(),
  ms: z.number().int().min(0),
  /** Makes a task depend on others. */
  needs: z.unknown().optional(),
})
const done = z.object({ label: z.string(), pid: z.number() })

function note(ledger: string, line: Record<string, unknown>): void {
  // Clock of the whole machine, read before the line is written: the truth is not earlier.
  const text = `${JSON.stringify({ ...line, atMs: Number(process.hrtime.bigint()) / 1e6, pid: process.pid })}\n`
  const file = openSync(ledger, 'a')
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function leafSkill(capability: string, effects: 'none' | 'external') {
  return defineSkill({
    capability, version: '1.0', summary: 'for the chaos campaign: notes that it ran', effects,
    input: leaf, output: done, limits: { timeMs: 60_000, memoryBytes: 128 * 1024 * 1024 },
    async run({ ledger, mission, label, ms }, { missionId, taskId, attempt }) {
      const about = { mission, missionId, task: taskId, label, attempt, effects }
      note(ledger, { ...about, phase: 'start' })
      await sleep(ms)
      note(ledger, { ...about, phase: 'end' })
      return { label, pid: process.pid }
    },
  })
}

const group = defineSkill({
  capability: 'chaos.group', version: '1.0', summary: 'for the chaos campaign: plans leaves', effects: 'none',
  input: z.object({ leaves: z.array(leaf.extend({ effects: z.enum(['none', 'external']) })), needs: z.unknown().optional() }),
  output: z.object({ labels: z.array(z.string()) }),
  plan: ({ leaves }) => ({
    tasks: Object.fromEntries(leaves.map(({ effects, ...input }) => [input.label, { capability: effects === 'external' ? 'chaos.effect' : 'chaos.pure', input, retry: { attemptsMax: 20, backoffMs: 200 } }])),
  }),
  synthesise: ({ children }) => ({ labels: children.map((child) => child.name).sort() }),
})

export default [leafSkill('chaos.pure', 'none'), leafSkill('chaos.effect', 'external'), group]
