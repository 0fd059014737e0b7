/** A vitest reporter that counts, and keeps each skipped test with its reason, for scripts/checks.ts. */
import { writeFileSync } from 'node:fs'
import type { SerializedError } from 'vitest'
import type { Reporter, TestCase, TestModule } from 'vitest/node'

export interface Tally {
  readonly passed: number
  readonly failed: number
  readonly skipped: readonly { readonly test: string; readonly reason: string | undefined }[]
}

/** Where the tally is written: the environment variable holds a path. */
export const tallyVariable = 'SKEIN_TALLY'

/** A reason is the note of `context.skip(note)`, or stands at the end of the name (or of a suite's): `name [skipped: reason]`. */
function reasonOf(test: TestCase): string | undefined {
  const result = test.result()
  if (result.state === 'skipped' && result.note !== undefined) return result.note
  return /\[skipped: ([^\]]+)\]/.exec(test.fullName)?.[1] ?? reasonAround(test)
}

/** A hook that failed takes all tests of its suite along; the failure itself is counted there. */
function reasonAround(test: TestCase): string | undefined {
  let around = test.parent
  while (around.errors().length === 0) {
    if (around.type === 'module') return undefined
    around = around.parent
  }
  return 'not run, for the suite around it failed'
}

export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    let passed = 0
    let failed = unhandledErrors.length
    const skipped: { test: string; reason: string | undefined }[] = []
    for (const module of modules) {
      // A module that could not be loaded has no tests to count, but it is a failure.
      failed += module.errors().length
      for (const suite of module.children.allSuites()) failed += suite.errors().length
      for (const test of module.children.allTests()) {
        const { state } = test.result()
        if (state === 'passed') passed += 1
        else if (state === 'failed') failed += 1
        else skipped.push({ test: `${module.relativeModuleId} > ${test.fullName}`, reason: reasonOf(test) })
      }
    }
    const tally: Tally = { passed, failed, skipped }
    const path = process.env[tallyVariable]
    if (path !== undefined) writeFileSync(path, JSON.stringify(tally))
  }
}
