import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const module = resolve(import.meta.dirname, '../../../node/cli/abandoned-waits.ts')

/** A process of its own, as what is looked at is how it ends. */
function run(rejection: string, survives = true): { status: number | null; stdout: string; stderr: string } {
  const script = `
    import { survivesAbandonedWaits } from ${JSON.stringify(module)}
    ${survives ? 'survivesAbandonedWaits((line) => console.log(line))' : ''}
    ${rejection}
    setTimeout(() => console.log('went on'), 200)`
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { encoding: 'utf8' })
  return { status, stdout, stderr }
}

const abandoned = 'new Promise((_, reject) => AbortSignal.timeout(1).addEventListener("abort", ({ target }) => reject(target.reason)))'

describe('a wait that nobody waits for any more', () => {
  it('ends a process that does nothing about it', () => {
    expect(run(abandoned, false)).toMatchObject({ status: 1, stdout: '' })
  })

  it('is said, and survived, when its time is over', () => {
    const { status, stdout } = run(abandoned)
    expect({ status, lines: stdout.trim().split('\n') }).toEqual({ status: 0, lines: [expect.stringMatching(/given up.*goes on.*TimeoutError/), 'went on'] })
  })

  it.each(['new Error("a defect")', '"no error at all"'])('anything else ends the process: %s', (reason) => {
    const { status, stderr, stdout } = run(`Promise.reject(${reason})`)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(/a defect|no error at all/)
  })
})
