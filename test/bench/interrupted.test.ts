import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { repositoryRoot } from '../../scripts/bench/table.ts'

let folder: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skein-interrupted-'))
})

afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

/** A process that cleans up two things when it is interrupted, has forgotten a third, and says when it is ready. */
async function interrupted(signal: NodeJS.Signals): Promise<number | null> {
  const script = join(folder, 'benchmark.ts')
  writeFileSync(script, `
import { writeFileSync } from 'node:fs'
import { whenInterrupted } from '${join(repositoryRoot, 'scripts', 'bench', 'interrupted.ts')}'
const forget = whenInterrupted(() => writeFileSync('${join(folder, 'forgotten')}', ''))
whenInterrupted(() => { throw new Error('cannot be cleaned up') })
whenInterrupted(() => writeFileSync('${join(folder, 'cleaned')}', ''))
forget()
setInterval(() => undefined, 1_000)
console.log('ready')
`)
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'ignore'] })
  await once(child.stdout, 'data')
  child.kill(signal)
  const [code] = await once(child, 'exit') as [number | null]
  return code
}

describe('a benchmark that is interrupted', () => {
  it.each([['SIGINT', 130], ['SIGTERM', 143]] as const)('by %s cleans up all that is not in order yet, and ends with %d', async (signal, code) => {
    expect(await interrupted(signal)).toBe(code)
    expect(existsSync(join(folder, 'cleaned'))).toBe(true)
    expect(existsSync(join(folder, 'forgotten'))).toBe(false)
  })
})
