/** How long a skill waits for a free capability of another node. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { MissionRequestInput } from '../../../node/http/client.ts'
import type { Collected } from '../figure.ts'
import { quantileOf } from '../figure.ts'
import { type BenchMesh, createBenchMesh } from '../replication/nodes.ts'
import { ended } from '../tasks/skein.ts'

export interface CallOptions {
  readonly runs: number
  /** In each run, one after the other. */
  readonly calls: number
}

const callerName = 'bench.caller'
const calledName = 'bench.called'

function skillFile({ folder }: BenchMesh, name: string, source: string): string[] {
  const file = join(folder, `${name}.skill.ts`)
  writeFileSync(file, `import { defineSkill, z } from 'skein/skill'\nexport default defineSkill({\n${source}\n})\n`)
  return ['--skill', file]
}

/** Calls the other so many times. @returns milliseconds of each. */
const caller = `  capability: '${callerName}', version: '1.0', summary: 'calls another', effects: 'none', input: z.object({ times: z.number() }), output: z.array(z.number()),
  async run({ times }, context) {
    const timesMs = []
    for (let time = 0; time < times; time++) {
      const startedAtMs = performance.now()
      const { output } = await context.call('${calledName}', { number: time })
      if (output !== time + 1) throw new Error('it has answered ' + JSON.stringify(output))
      timesMs.push(performance.now() - startedAtMs)
    }
    return timesMs
  },`
const called = `  capability: '${calledName}', version: '1.0', summary: 'adds one', effects: 'none', inline: true, input: z.object({ number: z.number() }), output: z.number(),
  run: ({ number }) => number + 1,`

async function callTimes(mesh: BenchMesh, times: number): Promise<number[]> {
  const { client } = mesh.node('caller')
  const { id } = await client.submit({ capability: callerName, input: { times }, acknowledgement: 'ephemeral' } as MissionRequestInput)
  await ended(client, id)
  const { result } = await client.result(id)
  const timesMs = result as unknown as readonly number[]
  if (timesMs.length !== times) throw new Error(`${id} has made ${timesMs.length} calls of ${times}`)
  return [...timesMs]
}

export async function measureCalls({ runs, calls }: CallOptions, { figures }: Collected): Promise<void> {
  const mesh = createBenchMesh()
  try {
    await mesh.start('caller', skillFile(mesh, 'caller', caller))
    await mesh.start('called', skillFile(mesh, 'called', called))
    await mesh.joined()
    console.error('calls of a skill: warming up …')
    await callTimes(mesh, calls)
    const p50: number[] = []
    const p95: number[] = []
    for (let run = 1; run <= runs; run++) {
      console.error(`calls of a skill: run ${run} of ${runs} …`)
      const timesMs = await callTimes(mesh, calls)
      p50.push(quantileOf(timesMs, 0.5))
      p95.push(quantileOf(timesMs, 0.95))
    }
    figures.push({ name: 'a skill in a thread calls a free capability of another node, p50', unit: 'ms', values: p50 }, { name: 'the same, p95', unit: 'ms', values: p95 })
  } finally {
    await mesh.stop()
  }
}
