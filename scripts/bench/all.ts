/**
 * Every part of the benchmark, one after the other, each in a process of its own.
 *
 * `npm run bench [-- --only tasks,peers,…] [--json]`; `npm run bench:quick` runs a little of those parts that need nothing installed, to see that they work:
 * its figures say nothing. docs/benchmarks.md says what each figure means.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

/** In the order in which they run, each with what makes it quick; without that it is left out of the quick run. */
const parts: Readonly<Record<string, { readonly quick?: readonly string[] }>> = {
  tasks: { quick: ['--ack', 'quorum', '--runs', '1', '--tasks', '100', '--one-by-one', '10', '--fan-outs', '1', '--fan-out', '8'] },
  peers: {},
  actors: { quick: ['--alone', '--runs', '1', '--messages', '50000', '--asks', '5000'] },
  http: { quick: ['--runs', '1', '--seconds', '1', '--clients', '4'] },
  events: { quick: ['--runs', '1', '--seconds', '1'] },
  models: { quick: ['--ack', 'ephemeral', '--runs', '1', '--calls', '10', '--tokens', '8', '--requests', '5', '--tiny'] },
  growth: {},
  startup: { quick: ['--runs', '1', '--idle', '100', '--only', 'source'] },
  replication: { quick: ['--commit', '--commits', '50'] },
  sim: { quick: ['--only', 'pace', '--runs', '1', '--seconds', '2'] },
}

const { values: flags } = parseArgs({ options: { only: { type: 'string' }, quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } } })
const wanted = flags.only?.split(',') ?? Object.keys(parts).filter((name) => !flags.quick || parts[name]?.quick !== undefined)
const unknown = wanted.find((name) => parts[name] === undefined)
if (unknown !== undefined) throw new Error(`--only names "${unknown}"; there are ${Object.keys(parts).join(', ')}`)

/** @returns what it printed, which with `--json` is one object; nothing when it went to the terminal. */
function run(name: string): Promise<{ printed: string; code: number | null }> {
  const argv = [join(import.meta.dirname, `${name}.ts`), ...(flags.quick ? parts[name]?.quick ?? [] : []), ...(flags.json ? ['--json'] : [])]
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, argv, { stdio: ['ignore', flags.json ? 'pipe' : 'inherit', 'inherit'] })
    let printed = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed += text
    })
    child.once('error', reject)
    child.once('close', (code) => resolve({ printed, code }))
  })
}

const reports: Record<string, unknown> = {}
for (const name of wanted) {
  if (!flags.json) console.log(`\n## ${name}\n`)
  const { printed, code } = await run(name)
  if (code !== 0) process.exitCode = 1
  if (flags.json) reports[name] = printed.trim() === '' ? { failed: `it ended with ${String(code)} and printed nothing` } : JSON.parse(printed)
}
if (flags.json) console.log(JSON.stringify(reports))
