/**
 * Real processes, real faults: `npm run chaos -- --minutes 10 [--seed 7] [--json FILE] [--keep] [--kinds kill-owner,partition]`.
 * docs/chaos.md says what is done and what is expected. Exit code 0: everything as promised; 1: not; 2: bad usage; 130: interrupted.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runCampaign } from './chaos/campaign.ts'
import { type FaultKind, faultKinds } from './chaos/fault-kinds.ts'
import { installMissing } from './chaos/machine.ts'
import { describeReport } from './chaos/report.ts'

const usage = `npm run chaos -- [--minutes N] [--seed S] [--json FILE] [--keep] [--install] [--kinds ${faultKinds.join(',')}]`
const number = (text: string, name: string, least: number): number => {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value < least) throw new Error(`--${name} is "${text}": give a number from ${least}`)
  return value
}

async function main(): Promise<number> {
  let asked
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '3' }, seed: { type: 'string' }, json: { type: 'string' }, keep: { type: 'boolean', default: false }, install: { type: 'boolean', default: false }, kinds: { type: 'string', default: faultKinds.join(',') },
        nodes: { type: 'string', default: '5' }, missions: { type: 'string', default: '10' }, 'patience-seconds': { type: 'string', default: '60' }, 'lease-ms': { type: 'string', default: '6000' }, 'member-silent-ms': { type: 'string', default: '8000' },
      },
    })
    const kinds = values.kinds.split(',').map((kind) => kind.trim())
    const strange = kinds.find((kind) => !(faultKinds as readonly string[]).includes(kind))
    if (strange !== undefined) throw new Error(`there is no fault "${strange}"`)
    asked = {
      ...values, kinds: kinds as FaultKind[], minutes: number(values.minutes, 'minutes', 0), seed: number(values.seed ?? String(Math.floor(Math.random() * 1e9)), 'seed', 0), nodes: number(values.nodes, 'nodes', 1), inFlightMin: number(values.missions, 'missions', 1),
      patienceMs: number(values['patience-seconds'], 'patience-seconds', 1) * 1_000, leaseMs: number(values['lease-ms'], 'lease-ms', 2_000), memberSilentMs: number(values['member-silent-ms'], 'member-silent-ms', 1_000),
    }
  } catch (thrown) {
    console.error(`${thrown instanceof Error ? thrown.message : String(thrown)}\n${usage}`)
    return 2
  }
  const startedMs = performance.now()
  const say = (line: string): void => console.log(`${((performance.now() - startedMs) / 1_000).toFixed(1).padStart(6)}  ${line}`)
  if (asked.install) installMissing(say)
  const interruption = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // A second one does not wait for the missions either: cleaning up has begun with the first.
      if (!interruption.signal.aborted) say(`${signal}: cleaning up`)
      interruption.abort()
    })
  }
  say(`seed ${asked.seed}, ${asked.minutes} minutes`)
  let report
  try {
    report = await runCampaign({ ...asked, signal: interruption.signal, say })
  } catch (thrown) {
    if (!interruption.signal.aborted) throw thrown
  }
  if (report === undefined || interruption.signal.aborted) {
    say(`interrupted after ${report?.faults.length ?? 0} faults: nothing is judged`)
    return 130
  }
  console.log(`\n${describeReport(report)}`)
  if (asked.json !== undefined) writeFileSync(asked.json, `${JSON.stringify(report, null, 2)}\n`)
  return report.ok ? 0 : 1
}

process.exitCode = await main()
