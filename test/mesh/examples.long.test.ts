/** The examples and every command that their README shows, over three real nodes. */
import { createHash, randomUUID } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMeshClient } from '../../node/http/client.ts'
import type { MeshClient } from '../../node/http/client.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import type { WhyView } from '../../protocols/tasking/views.ts'
import { lacksProgram, named } from '../requirements.ts'
import { leftovers, markVariable } from '../support/leftovers.ts'
import { type RunningCommand, repositoryFolder, runSkein, startSkein } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

/** Commands of the README that this file has run. */
const ran = new Set<string>()
let folder: string
let env: Record<string, string>
let up: RunningCommand
let urls: string[]
let client: MeshClient
const commands: RunningCommand[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skein-examples-test-'))
  mkdirSync(join(folder, 'home'))
  // What a person has in a clone, without the clone: nothing may lean on what stands around the examples.
  cpSync(join(repositoryFolder, 'examples'), join(folder, 'examples'), { recursive: true })
  env = { HOME: join(folder, 'home'), [markVariable]: randomUUID() }
  up = start('skein up -n 3 --skill ./examples/skills/text.skill.ts --skill ./examples/skills/flaky.skill.ts --skill ./examples/skills/matrix.skill.ts', ['--json', '--data', join(folder, 'mesh')])
  const { nodes } = await firstLine<{ nodes: { http: string }[] }>(up)
  urls = nodes.map((node) => node.http)
  client = createMeshClient(urls[0] ?? '')
}, 120_000)

afterAll(async () => {
  for (const { child } of commands) child.kill('SIGINT')
  for (const { ended } of commands) await ended.catch(() => undefined)
  await until(() => leftovers(env[markVariable] ?? '', commands.map(({ pid }) => pid)).length === 0, { what: 'every process to be gone', timeoutMs: 30_000, context: () => leftovers(env[markVariable] ?? '', []).join('\n') })
  rmSync(folder, { recursive: true, force: true })
}, 120_000)

/** A line of the README, word for word; `more` points it at this test's mesh and asks for JSON. */
function wordsOf(line: string, more: readonly string[]): string[] {
  ran.add(line)
  return [...line.split(/\s+/).slice(1), ...more]
}

function start(line: string, more: readonly string[]): RunningCommand {
  const command = startSkein(wordsOf(line, more), { cwd: folder, env })
  commands.push(command)
  return command
}

async function run<T>(line: string, more: readonly string[] = []): Promise<T> {
  const { code, out, err } = await runSkein(wordsOf(line, [...more, '--json']), { cwd: folder, env })
  if (code !== 0) throw new Error(`exit code ${String(code)} of ${line}\n${err}\n${out}`)
  return JSON.parse(out) as T
}

function firstLine<T>(command: RunningCommand): Promise<T> {
  return new Promise((resolve, reject) => {
    command.onLine((line) => resolve(JSON.parse(line) as T))
    command.ended.then(({ code, err }) => reject(new Error(`ended with ${String(code)}: ${err.slice(-3_000)}`)), reject)
  })
}

interface Mission<T> {
  readonly id: MissionId
  readonly state: string
  readonly result: T
  readonly tasks: Record<string, number>
  readonly saved?: string[]
}

function attemptsIn(why: WhyView, name: string): WhyView['tasks'][number]['attempts'] {
  return why.tasks.find((task) => task.id.endsWith(`/${name}`))?.attempts ?? []
}

function wordsIn(file: string): string[] {
  return readFileSync(join(folder, 'examples', 'texts', file), 'utf8').toLowerCase().match(/\p{L}[\p{L}\p{M}'’-]*/gu) ?? []
}

describe('plans', () => {
  it('map-reduce counts the words of three texts', async () => {
    const mission = await run<Mission<{ words: number; top: { word: string; count: number }[]; perFile: Record<string, number> }>>('skein run examples/map-reduce.yaml', ['--url', urls[0] ?? ''])
    const texts = ['geese', 'nodes', 'bids']
    const all = texts.flatMap((name) => wordsIn(`${name}.txt`))
    const counts = new Map<string, number>()
    for (const word of all) counts.set(word, (counts.get(word) ?? 0) + 1)
    const top = [...counts].sort(([leftWord, left], [rightWord, right]) => right - left || leftWord.localeCompare(rightWord, 'en')).slice(0, 5)
    expect(mission).toMatchObject({
      state: 'completed',
      result: { words: all.length, perFile: Object.fromEntries(texts.map((name) => [name, wordsIn(`${name}.txt`).length])), top: top.map(([word, count]) => ({ word, count })) },
    })
    // The sum began after its parts were there.
    const why = await client.why(mission.id)
    const [total] = attemptsIn(why, 'total')
    for (const name of texts) expect(attemptsIn(why, name).at(-1)?.endedAtWallMs ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(total?.awardedAtWallMs ?? 0)
  })

  it('the diamond retries its failing branch and does without the optional one', async () => {
    const mission = await run<Mission<{ trail: string[]; attemptsOfRight: number }>>('skein run examples/diamond.yaml', ['--url', urls[1] ?? ''])
    expect(mission).toMatchObject({ state: 'completed', result: { attemptsOfRight: 3, trail: ['start', 'left', 'right', 'finish'] } })
    const why = await client.why(mission.id)
    expect(attemptsIn(why, 'right').map((attempt) => attempt.outcome)).toEqual(['failed', 'failed', 'accepted'])
    expect(attemptsIn(why, 'right')[0]?.fault?.detail).toContain('fails on purpose')
    // A node on which it failed is not tried next.
    const [first, second] = attemptsIn(why, 'right')
    expect(second?.worker).not.toBe(first?.worker)
    expect(why.tasks.find((task) => task.id.endsWith('/extra'))).toMatchObject({ state: 'dead', attempts: [{ outcome: 'failed' }, { outcome: 'failed' }] })
    expect((await client.dead()).map((dead) => dead.taskId)).toContain('root/extra')
  })

  it('the build matrix builds and tests two modules in four configurations each', async () => {
    const mission = await run<Mission<{ ok: boolean; markdown: string; files: Record<string, { $blob: string; name: string }> }>>('skein run examples/build-matrix.yaml --output ./built', ['--url', urls[2] ?? ''])
    expect(mission).toMatchObject({ state: 'completed', result: { ok: true } })
    const rows = mission.result.markdown.trim().split('\n').slice(2)
    expect(rows).toHaveLength(8)
    for (const module of ['slug', 'roman']) {
      expect(rows.filter((row) => row.startsWith(`| ${module} |`))).toHaveLength(4)
      const { $blob, name } = mission.result.files[module] ?? { $blob: '', name: '' }
      const saved = (mission.saved ?? []).find((path) => path.endsWith(name)) ?? ''
      expect(saved.startsWith(join(folder, 'built'))).toBe(true)
      expect(createHash('sha256').update(readFileSync(saved)).digest('hex')).toBe($blob)
    }
    for (const row of rows) expect(row).toMatch(/\| passed \| (\d+) of \1 \|/)
    const built = await import(join(folder, 'built', mission.result.files['roman']?.name ?? '')) as Record<string, unknown>
    expect(Object.keys(built).length).toBeGreaterThan(0)
    const why = await client.why(mission.id)
    expect(new Set(why.tasks.flatMap((task) => task.attempts.map((attempt) => attempt.worker))).size).toBeGreaterThan(1)
  })
})

describe('documents', () => {
  it('answer a question, with the file and line that say so', async () => {
    const mission = await run<Mission<{ answer: string; sources: { file: string; lines: [number, number]; quote: string }[]; page: { $blob: string; name: string } }>>('skein run examples/answer.yaml', ['--url', urls[0] ?? ''])
    expect(mission).toMatchObject({ state: 'completed', result: { answer: expect.stringContaining('the next goose takes the point') as unknown, page: { name: 'answer.md' } } })
    const said = mission.result.sources.find(({ quote }) => quote.includes('the next goose takes the point'))
    expect(said?.file).toBe('geese.txt')
    const [from, to] = said?.lines ?? [0, 0]
    expect(readFileSync(join(folder, 'examples', 'texts', 'geese.txt'), 'utf8').split('\n').slice(from - 1, to).join(' ')).toContain(said?.quote)
    const why = await client.why(mission.id)
    expect(why.tasks.filter((task) => task.id.includes('/part-')).length).toBeGreaterThan(1)
  })
})

describe('skills of your own', () => {
  it('are scaffolded, run alone, offered to the mesh and loaded again when they are edited', async () => {
    const made = await run<{ path: string }>('skein skill new text.shout')
    expect(made.path).toBe(join(folder, 'text.shout.skill.ts'))
    expect(await run('skein skill test ./text.shout.skill.ts --input text=geese')).toMatchObject({ state: 'done', output: { text: 'GEESE', characters: 5 } })

    const invite = await inviteOf()
    const node = start('skein start --skill ./text.shout.skill.ts --watch', ['--json', '--data', join(folder, 'shouter'), '--join', invite, '--listen-host', '127.0.0.1', '--listen-port', '0', '--http-port', '0', '--no-mdns', '--name', 'shouter'])
    await firstLine(node)
    await until(async () => (await client.capabilities()).find((capability) => capability.name === 'text.shout'), { what: 'text.shout to be known at another node', context: node.err })
    expect(await run<Mission<unknown>>('skein run text.shout --input text=geese', ['--url', urls[0] ?? ''])).toMatchObject({ state: 'completed', result: { text: 'GEESE', characters: 5 } })

    writeFileSync(made.path, readFileSync(made.path, 'utf8').replace('text.toUpperCase()', "text.toUpperCase() + '!'"))
    await until(() => node.err().includes('skill.reloaded'), { what: 'the edited skill to be loaded', context: node.err })
    expect(await run<Mission<unknown>>('skein run text.shout --input text=geese', ['--url', urls[1] ?? ''])).toMatchObject({ state: 'completed', result: { text: 'GEESE!' } })
  })

  const noPython = lacksProgram('python3')
  it.skipIf(noPython)(named('may be programs, declared as the README declares one', noPython), async () => {
    const declared = /```yaml\n(programs:[\s\S]*?)```/.exec(readFileSync(join(folder, 'examples', 'README.md'), 'utf8'))?.[1] ?? ''
    mkdirSync(join(folder, 'with-program'))
    writeFileSync(join(folder, 'with-program', 'skein.config.yaml'), declared)
    const command = startSkein(['start', '--json', '--data', join(folder, 'programmer'), '--join', await inviteOf(), '--listen-host', '127.0.0.1', '--listen-port', '0', '--http-port', '0', '--no-mdns', '--name', 'programmer'], { cwd: join(folder, 'with-program'), env })
    commands.push(command)
    await firstLine(command)
    await until(async () => (await client.capabilities()).find((capability) => capability.name === 'text.lines'), { what: 'text.lines to be known', context: command.err })
    const { code, out, err } = await runSkein(['run', 'text.lines', '--input', 'text=one\ntwo\nthree', '--url', urls[0] ?? '', '--json'], { cwd: folder, env })
    expect(err).toBe('')
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ state: 'completed', result: 3 })
  })

  async function inviteOf(): Promise<string> {
    const { code, out, err } = await runSkein(['invite', '--json', '--data', join(folder, 'mesh', 'node-a')], { cwd: folder, env })
    if (code !== 0) throw new Error(`no invite: ${err}`)
    return (JSON.parse(out) as { invite: string }).invite
  }
})

it('the clinic of the simulator keeps every promise', async () => {
  const report = await run<{ violations: unknown[]; missions: { completed: number; submitted: number } }>('skein sim run examples/simulation/vet-clinic.yaml --seed 1')
  expect(report.violations).toEqual([])
  expect(report.missions.completed).toBe(report.missions.submitted)
})

it('no command of the README was left out', () => {
  const shown = [...readFileSync(join(folder, 'examples', 'README.md'), 'utf8').matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.split('\n'))
    .map((line) => line.replace(/\s+#.*$/, '').trim()).filter((line) => line.startsWith('skein '))
  expect(shown.length).toBeGreaterThan(5)
  expect(shown.filter((line) => !ran.has(line))).toEqual([])
})
