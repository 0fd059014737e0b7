/**
 * All that `npm test` checks, in this order: types, lint, import rules, a sweep of simulated faults, tests. Every check runs, even
 * after one failed.
 * Arguments go to vitest (a file, `-t name`), and then only the tests run. Without any, those of `npm run test:long` are left out.
 *
 * The last line is `N passed, N failed` and, when something was skipped, `, N skipped`. With SKEIN_FAIL_ON_SKIP=1 a skipped
 * test is a failed one; a test that is skipped without a reason always is.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Tally, tallyVariable } from './tally-reporter.ts'

const root = join(import.meta.dirname, '..')
const tool = (path: string): string => join(root, 'node_modules', path)

interface Check {
  readonly name: string
  readonly argv: readonly string[]
  readonly next: string
}

const checks: readonly Check[] = [
  { name: 'types', argv: [tool('typescript/bin/tsc'), '--project', root], next: 'npm run types' },
  { name: 'lint', argv: [tool('eslint/bin/eslint.js'), '--max-warnings', '0', root], next: 'npm run lint' },
  { name: 'import rules', argv: [join(root, 'scripts/rules.ts')], next: 'npm run rules' },
  { name: 'simulated faults', argv: [join(root, 'scripts/sim.ts'), 'sweep', 'all-faults', '--seeds', '1..200', '--regressions', join(tmpdir(), 'skein-regressions')], next: 'npm run sim:ci' },
]

/** Real processes under faults take minutes, root and a C compiler: for whoever asks for it, as CI does. */
const chaosMinutes = process.env['SKEIN_CHAOS_MINUTES']
const chaos: Check | undefined = chaosMinutes === undefined ? undefined : { name: `chaos, ${chaosMinutes} minutes`, argv: [join(root, 'scripts/chaos.ts'), '--minutes', chaosMinutes], next: 'npm run chaos:ci' }

let running: ChildProcess | undefined

/** @returns the exit code of a Node script; 1 when a signal ended it. Its output is ours, and is handed to `heard` as well. */
function runNode(argv: readonly string[], { env = process.env, heard }: { readonly env?: NodeJS.ProcessEnv; readonly heard?: (text: string) => void } = {}): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, argv, { cwd: root, stdio: ['ignore', heard === undefined ? 'inherit' : 'pipe', heard === undefined ? 'inherit' : 'pipe'], env: heard !== undefined && process.stdout.isTTY ? { ...env, FORCE_COLOR: '1' } : env })
    running = child
    for (const [from, to] of [[child.stdout, process.stdout], [child.stderr, process.stderr]] as const) {
      from?.setEncoding('utf8').on('data', (text: string) => {
        to.write(text)
        heard?.(text)
      })
    }
    child.once('error', () => {
      resolve(1)
    })
    // Not 'exit': what it said last may still be on its way.
    child.once('close', (code) => {
      resolve(code ?? 1)
    })
  })
}

/** Lines that the summary repeats of a check that failed: it may be all that is left of a long output. */
const repeatedLines = 40

/** Interrupted: the check that runs goes first, so that nothing is left running. */
function stopOn(signal: NodeJS.Signals, exitCode: number): void {
  process.once(signal, () => {
    if (running === undefined || running.exitCode !== null) process.exit(exitCode)
    running.once('exit', () => process.exit(exitCode))
    running.kill(signal)
  })
}

function heading(name: string): void {
  console.log(`\n— ${name}`)
}

async function runTests(argv: readonly string[]): Promise<Tally> {
  const folder = mkdtempSync(join(tmpdir(), 'skein-tally-'))
  try {
    const path = join(folder, 'tally.json')
    const reporters = ['--reporter', 'default', '--reporter', join(root, 'scripts/tally-reporter.ts')]
    const code = await runNode([tool('vitest/vitest.mjs'), 'run', ...reporters, ...argv], { env: { ...process.env, [tallyVariable]: path } })
    try {
      const tally = JSON.parse(readFileSync(path, 'utf8')) as Tally
      return code !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally
    } catch {
      console.error('vitest ended before it had counted its tests')
      return { passed: 0, failed: 1, skipped: [] }
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const summary: string[] = []
  let passed = 0
  let failed = 0
  const onlyTests = argv.length > 0
  for (const check of onlyTests ? [] : [...checks, ...(chaos === undefined ? [] : [chaos])]) {
    heading(check.name)
    const startedAtMs = performance.now()
    let said = ''
    const ok = (await runNode(check.argv, { heard: (text) => (said = (said + text).slice(-20_000)) })) === 0
    const tookS = ((performance.now() - startedAtMs) / 1000).toFixed(1)
    if (ok) passed += 1
    else failed += 1
    summary.push(`${ok ? 'passed' : 'FAILED'}  ${check.name} (${tookS} s)${ok ? '' : `: see above, or run \`${check.next}\` alone; it ended with`}`)
    if (!ok) summary.push(...said.trimEnd().split('\n').slice(-repeatedLines).map((line) => `  │ ${line}`))
  }

  heading('tests')
  const tally = await runTests(onlyTests ? argv : ['--project', 'unit', '--project', 'processes'])
  passed += tally.passed
  failed += tally.failed
  summary.push(`${tally.failed === 0 ? 'passed' : 'FAILED'}  tests: ${tally.passed} passed, ${tally.failed} failed, ${tally.skipped.length} skipped`)

  const skipFails = process.env['SKEIN_FAIL_ON_SKIP'] === '1'
  const failing = tally.skipped.filter((skip) => skipFails || skip.reason === undefined)
  failed += failing.length

  heading('summary')
  for (const line of summary) console.log(line)
  for (const { test, reason } of tally.skipped) console.log(`skipped ${test}: ${reason ?? 'NO REASON GIVEN (a skip says why: context.skip(reason))'}`)
  if (skipFails && failing.length > 0) console.log(`SKEIN_FAIL_ON_SKIP=1: ${failing.length} skipped counted as failed`)
  const skipped = tally.skipped.length - failing.length
  console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  return failed === 0 && passed > 0 ? 0 : 1
}

stopOn('SIGINT', 130)
stopOn('SIGTERM', 143)
process.exitCode = await main(process.argv.slice(2))
