import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fault } from '../../../../protocols/kernel/errors.ts'
import type { Json } from '../../../../protocols/kernel/payload.ts'
import { createMemoryBlobs } from '../../../../node/skills/memory-blobs.ts'
import { readProgram } from '../../../../node/skills/program/declaration.ts'
import type { ProgramDeclaration } from '../../../../node/skills/program/declaration.ts'
import { readProcessTree } from '../../../../node/skills/program/process-tree.ts'
import { createThreadSkillRunner } from '../../../../node/skills/skill-runner-thread-adapter.ts'
import type { ThreadSkillRunner } from '../../../../node/skills/skill-runner-thread-adapter.ts'
import { expectDone, expectFailed, follow, skillRun } from '../../../contracts/skill-runner.ts'
import { isAlive, until } from '../conditions.ts'

const blobs = createMemoryBlobs()
let runner: ThreadSkillRunner
let folder: string

/** A program written in JavaScript: `input` is what came on stdin. */
function script(code: string): Pick<ProgramDeclaration, 'command' | 'args'> {
  return { command: process.execPath, args: ['-e', `const input = JSON.parse(require('fs').readFileSync(0, 'utf8'));${code}`] }
}

const declared: ProgramDeclaration[] = [
  {
    capability: 'prog.double', ...script('console.log(JSON.stringify({ twice: input.n * 2 }))'), effects: 'none',
    input: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] },
    output: { type: 'object', properties: { twice: { type: 'number', maximum: 100 } }, required: ['twice'] },
  },
  { capability: 'prog.fail', ...script('console.error("the reason"); process.exit(7)') },
  { capability: 'prog.text', ...script('console.log("not json")') },
  { capability: 'prog.flood', ...script('for (let i = 0; i < 64; i++) process.stdout.write("x".repeat(65536))') },
  { capability: 'prog.big', ...script('console.log(JSON.stringify("x".repeat(200000)))') },
  { capability: 'prog.deaf', command: process.execPath, args: ['-e', 'console.log("1")'] },
  {
    capability: 'prog.family',
    ...script('const c = require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" }); require("fs").writeFileSync(input.path, process.pid + " " + c.pid); setInterval(() => {}, 1000)'),
  },
  {
    capability: 'prog.background',
    ...script('const c = require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" }); console.log(c.pid); process.exit(0)'),
  },
  { capability: 'prog.hungry', ...script('const kept = []; setInterval(() => kept.push(Buffer.alloc(2 ** 24, 1)), 1)'), memoryBytes: 200 * 1024 * 1024 },
  { capability: 'prog.env', ...script('console.log(JSON.stringify({ ...process.env, cwd: process.cwd() }))'), env: { GREETING: 'hello' } },
  { capability: 'prog.absent', command: 'no-such-program-anywhere' },
  {
    capability: 'prog.files',
    ...script('const fs = require("fs"); fs.writeFileSync("out.txt", fs.readFileSync(input.file.path, "utf8").toUpperCase()); console.log(JSON.stringify({ made: { $file: "out.txt", mediaType: "text/plain" } }))'),
  },
  { capability: 'prog.escape', ...script('console.log(JSON.stringify({ made: { $file: "../../../../../../../../etc/hostname" } }))') },
  {
    capability: 'prog.steps',
    ...script(`
      const fs = require('fs'), path = process.env.SKEIN_CHECKPOINT
      const before = fs.existsSync(path) ? JSON.parse(fs.readFileSync(path, 'utf8')).done : 0
      let did = 0
      const publish = (text) => { fs.writeFileSync(path + '.new', text); fs.renameSync(path + '.new', path) }
      const step = () => {
        const done = before + did
        if (done === input.steps) { console.log(JSON.stringify({ did })); return }
        did += 1
        publish(JSON.stringify({ done: done + 1, padding: 'x'.repeat(input.padding ?? 0) }, undefined, 2))
        if (done + 1 === input.killAfter) process.kill(process.pid, 'SIGKILL')
        if (done + 1 === input.hangAfter) setInterval(() => {}, 1000)
        else setTimeout(step, input.stepMs ?? 0)
      }
      if (input.nonsense !== undefined) { fs.writeFileSync(path, '{"half'); process.exit(3) }
      step()`),
  },
]

beforeAll(async () => {
  process.env.SKEIN_SECRET_FOR_TEST = 'hush'
  folder = await mkdtemp(join(tmpdir(), 'skein-test-'))
  runner = createThreadSkillRunner({ skills: [], programs: declared.map((one) => readProgram(one, folder)), blobs, pulseMs: 20 })
})
afterAll(async () => {
  await runner.close()
  await rm(folder, { recursive: true })
  delete process.env.SKEIN_SECRET_FOR_TEST
})

const run = (name: string, input: Json = {}, overrides: Parameters<typeof skillRun>[2] = {}) => follow(runner, skillRun(`prog.${name}`, input, overrides)).ended
const failure = async (...args: Parameters<typeof run>) => expectFailed(await run(...args)).fault
const output = async (...args: Parameters<typeof run>) => expectDone(await run(...args)).output

describe('a program', () => {
  it('takes JSON and gives JSON', async () => {
    expect(await output('double', { n: 21 })).toEqual({ inline: { twice: 42 } })
    expect(await output('deaf', { much: 'x'.repeat(300_000) })).toEqual({ inline: 1 })
  })

  it('is a leaf capability', () => {
    expect(runner.capabilities()).toContainEqual({ name: 'prog.double', version: '1.0', kind: 'leaf', effects: 'none', attributes: {}, summary: expect.stringContaining('runs ') as string })
    expect(runner.capabilities().find(({ name }) => name === 'prog.fail')?.effects).toBe('external')
  })

  it('has its input and output checked', async () => {
    expect(runner.checkInput('prog.double', '1.0', { n: 'x' })?.code).toBe('bad-input')
    expect(await failure('double', { n: 'x' })).toMatchObject({ code: 'bad-input' })
    expect(await failure('double', { n: 99 })).toMatchObject({ code: 'bad-output' })
    expect(await failure('text')).toMatchObject({ code: 'bad-output', detail: expect.stringContaining('not json') as string })
  })

  it('fails with its exit code and the end of its stderr', async () => {
    const why = await failure('fail')
    expect(why).toMatchObject({ code: 'skill-failed', retryable: true })
    expect(why.detail).toContain('exit code 7')
    expect(why.detail).toContain('the reason')
  })

  it('that is not installed is a failure that no retry here mends', async () => {
    expect(await failure('absent')).toMatchObject({ code: 'skill-failed', retryable: false, next: expect.stringContaining('install') as string })
  })

  it('may give big outputs up to a limit', async () => {
    const big = await output('big')
    expect('blob' in big && big.blob.sizeBytes).toBe(200_002)
    expect(await failure('flood')).toMatchObject({ code: 'bad-output', detail: expect.stringContaining('more than') as string })
  })

  it('sees a safe environment and a folder of its own', async () => {
    const seen = await output('env')
    const env = ('inline' in seen ? seen.inline : {}) as Record<string, string>
    expect(env).toMatchObject({ GREETING: 'hello', SKEIN_ATTEMPT: '1', SKEIN_TASK: 'root/x', SKEIN_IDEMPOTENCY_KEY: 'm-aaaaaaaa-bbbbbbbbbbbb:root/x' })
    expect(env.SKEIN_SECRET_FOR_TEST).toBeUndefined()
    expect(env.cwd).toContain('skein-program-')
    await until(async () => !(await readdir(tmpdir())).includes(String(env.cwd).split('/').at(-2) ?? ''))
  })
})

describe('a program that must be ended', () => {
  async function family(): Promise<ReturnType<typeof follow> & { pids: number[]; runId: string; pulsed: Promise<undefined> }> {
    const path = join(folder, 'pids')
    await writeFile(path, '')
    const { promise: pulsed, resolve } = Promise.withResolvers<undefined>()
    const one = skillRun('prog.family', { path })
    const { ended, events } = follow(runner, one, (event) => {
      if (event.type === 'pulse') resolve(undefined)
    })
    let pids: number[] = []
    await until(async () => {
      pids = (await readFile(path, 'utf8')).split(' ').filter(Boolean).map(Number)
      return pids.length === 2
    })
    return { pids, runId: one.runId, ended, events, pulsed }
  }

  it('dies with its children when it is stopped, after it gave pulses', async () => {
    const { pids, runId, ended, pulsed } = await family()
    await pulsed
    runner.stop(runId, fault('cancelled', 'enough'))
    expect(expectFailed(await ended).fault.code).toBe('cancelled')
    for (const pid of pids) await until(async () => !(await isAlive(pid)))
  })

  it('gives no pulse while it is frozen', async () => {
    const { pids, runId, ended, events, pulsed } = await family()
    await pulsed
    const [leader = 0] = pids
    process.kill(leader, 'SIGSTOP')
    // What was being read when it froze may still arrive; from then on nothing does.
    await until(async () => (await readProcessTree(leader)).some((one) => one.pid === leader && one.state === 'T'))
    const before = events.length
    for (let looks = 0; looks < 20; looks++) await readProcessTree(leader).then(() => new Promise((resolve) => setTimeout(resolve, 20)))
    expect(events.length - before).toBeLessThanOrEqual(1)
    runner.stop(runId, fault('skill-silent', 'frozen'))
    expect(expectFailed(await ended).fault.code).toBe('skill-silent')
    for (const pid of pids) await until(async () => !(await isAlive(pid)))
  })

  it('dies at its time limit', async () => {
    const path = join(folder, 'pids-late')
    await writeFile(path, '')
    expect((await failure('family', { path }, { timeLimitMs: 200 })).code).toBe('skill-timeout')
  })

  it('dies at its memory limit', async () => {
    const { fault: why, stats } = expectFailed(await run('hungry'))
    expect(why).toMatchObject({ code: 'skill-out-of-memory', retryable: true })
    expect(stats.memoryBytesMax).toBeGreaterThan(200 * 1024 * 1024)
  })

  it('does not leave anything in the background', async () => {
    const left = await output('background')
    const pid = 'inline' in left ? Number(left.inline) : 0
    expect(pid).toBeGreaterThan(0)
    await until(async () => !(await isAlive(pid)))
  })
})

describe('files of a program', () => {
  it('blobs come as paths, named files go as blobs', async () => {
    const file = await blobs.put(new TextEncoder().encode('geese'), { name: 'in.txt' })
    const made = await output('files', { file } as unknown as Json)
    const ref = ('inline' in made ? made.inline : {}) as { made: { $blob: never; mediaType: string } }
    expect(ref.made).toMatchObject({ sizeBytes: 5, name: 'out.txt', mediaType: 'text/plain' })
    expect(new TextDecoder().decode(await blobs.get(ref.made.$blob))).toBe('GEESE')
  })

  it('outside of its folder are refused', async () => {
    expect(await failure('escape')).toMatchObject({ code: 'bad-output', detail: expect.stringContaining('outside') as string })
  })
})

describe('a declaration', () => {
  it.each([
    [{ capability: 'Bad Name', command: 'x' }, 'capability'],
    [{ capability: 'good.name' }, 'command'],
    [{ capability: 'good.name', command: 'x', timeMs: -1 }, 'timeMs'],
    [{ capability: 'good.name', command: 'x', unknownField: 1 }, 'unknownField'],
    [{ capability: 'good.name', command: 'x', input: 'text' }, 'input schema'],
  ])('%j is refused with a word about %s', (one, word) => {
    expect(() => readProgram(one, '/')).toThrow(word)
  })

  it('may give the command as a list, and paths relative to the configuration', () => {
    expect(readProgram({ capability: 'a.b', command: ['./tool', 'first'], args: ['second'], cwd: 'sub' }, '/etc/skein')).toMatchObject({ command: '/etc/skein/tool', args: ['first', 'second'], cwd: '/etc/skein/sub' })
  })
})

describe('the checkpoints of a program', () => {
  const start = (input: Json, overrides: Parameters<typeof skillRun>[2] = {}, onEvent?: Parameters<typeof follow>[2]) => follow(runner, skillRun('prog.steps', input, overrides), onEvent)
  const published = (events: Awaited<ReturnType<typeof start>>['events']) => events.flatMap((event) => (event.type === 'checkpoint' ? [event.value] : []))

  it('are what it wrote last, however it ended, and the next attempt finds them in the same place', async () => {
    const { events, ended } = start({ steps: 5, killAfter: 3 })
    expect(expectFailed(await ended).fault.code).toBe('skill-exited')
    expect(published(events).at(-1)).toEqual({ inline: { done: 3, padding: '' } })
    expect(events.at(-1)?.type).toBe('failed')
    const again = start({ steps: 5 }, { attempt: 2, checkpoint: published(events).at(-1) as NonNullable<ReturnType<typeof skillRun>['checkpoint']> })
    expect(expectDone(await again.ended).output).toEqual({ inline: { did: 2 } })
  })

  it('are told while it runs', async () => {
    const told = Promise.withResolvers<undefined>()
    const run = skillRun('prog.steps', { steps: 5, hangAfter: 2 })
    const { events, ended } = follow(runner, run, (event) => {
      if (event.type === 'checkpoint' && JSON.stringify(event.value).includes('"done":2')) told.resolve(undefined)
    })
    await told.promise
    runner.stop(run.runId, fault('cancelled', 'seen enough'))
    expectFailed(await ended)
    const values = published(events).map((value) => JSON.stringify(value))
    expect(new Set(values).size, 'each once').toBe(values.length)
  })

  it('may be big', async () => {
    const { events, ended } = start({ steps: 2, killAfter: 1, padding: 100_000 })
    expectFailed(await ended)
    const value = published(events).at(-1)
    if (value === undefined || !('blob' in value)) throw new Error('expected a blob')
    expect(expectDone(await start({ steps: 2 }, { checkpoint: value }).ended).output).toEqual({ inline: { did: 1 } })
  })

  it('are not told again to the one who was given them, nor when they are half written', async () => {
    const resumed = start({ steps: 3, killAfter: 3 }, { checkpoint: { inline: { done: 3, padding: '' } } })
    expect(expectDone(await resumed.ended).output).toEqual({ inline: { did: 0 } })
    expect(published(resumed.events)).toEqual([])
    const half = start({ nonsense: true })
    expect(expectFailed(await half.ended).fault.detail).toContain('exit code 3')
    expect(published(half.events)).toEqual([])
  })
})
