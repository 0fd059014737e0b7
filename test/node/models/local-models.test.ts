import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { CapabilityMeasure, SkillRunner } from '../../../actors/ports/skill-runner.ts'
import { createModelHost } from '../../../node/models/model-host.ts'
import { startModels, type StartedModels } from '../../../node/models/start-models.ts'
import { createMemoryBlobs } from '../../../node/skills/memory-blobs.ts'
import { fault, MeshError } from '../../../protocols/kernel/errors.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { prefixDigests } from '../../../protocols/models/prefixes.ts'
import { ChatOutput } from '../../../protocols/models/schema.ts'
import { expectDone, expectFailed, follow, skillRun } from '../../contracts/skill-runner.ts'
import { writeTinyGguf } from '../../support/tiny-gguf/tiny-gguf.ts'
import { until } from '../../support/until.ts'
import { realClock } from './host-fixture.ts'

let folder: string
let started: StartedModels
let runner: SkillRunner
let measures: readonly CapabilityMeasure[] = []
const blobs = createMemoryBlobs()
const quiet = { record: () => undefined, keepSecret: () => undefined }
const cache = { chat: { exact: false, similar: 0.9 }, embed: { exact: false }, bytesMax: 1_000_000 }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'skein-local-models-'))
  await writeTinyGguf(join(folder, 'tiny.gguf'), { contextTokens: 512 })
  await writeTinyGguf(join(folder, 'vectors.gguf'), { pooling: 'mean' })
  started = await startModels({ files: [{ file: join(folder, 'tiny.gguf'), gpu: 'off', slots: 2, threads: 1 }, { file: join(folder, 'vectors.gguf'), gpu: 'off', threads: 1 }], endpoints: [], cache, blobs, clock: realClock, telemetry: quiet })
  const nothing = createModelHost({ providers: [], blobs, clock: realClock })
  // A host that has nothing to do with models stands for the skills.
  runner = started.over({ ...nothing, capabilities: () => [] })
  runner.onMeasured((told) => (measures = told))
})
afterAll(async () => {
  await started.close()
  await rm(folder, { recursive: true, force: true })
})

const ask = (content: string, more: Record<string, Json> = {}): Json => ({ messages: [{ role: 'user', content }], maxTokens: 30, seed: 7, temperature: 1, ...more })

it('offers what is in its files', () => {
  expect(runner.capabilities().map(({ name, slots, attributes }) => ({ name, slots, ...attributes }))).toEqual([
    { name: 'llm.chat', model: 'tiny', provider: 'llama.cpp', contextTokens: 512, quantisation: expect.any(String) as string, slots: 2, inputUsdPerMillion: 0, outputUsdPerMillion: 0 },
    expect.objectContaining({ name: 'llm.embed', model: 'vectors', provider: 'llama.cpp', slots: 1 }),
  ])
})

it('answers more calls than it has places, says how far each is, and learns how fast it is', async () => {
  const runs = Array.from({ length: 4 }, (_, at) => follow(runner, skillRun('llm.chat', ask(`Question number ${at}.`, { maxTokens: 200 }), { streams: at === 0 })))
  const outputs = await Promise.all(runs.map(async ({ ended }) => {
    const done = expectDone(await ended)
    expect(done.stats).toMatchObject({ costUsd: 0, tokens: { input: expect.any(Number) as number, output: expect.any(Number) as number } })
    return ChatOutput.parse('inline' in done.output ? done.output.inline : undefined)
  }))
  for (const { content, usage } of outputs) {
    expect(content).toBeTruthy()
    expect(usage.completionTokens).toBeGreaterThan(0)
  }
  expect(runs[0]?.events.flatMap((event) => (event.type === 'chunk' ? [(event.value as { content?: string }).content ?? ''] : [])).join('')).toBe(outputs[0]?.content)
  await until(() => (measures[0]?.msPerOutputUnit ?? 0) > 0, { what: 'its speed to be told' })
  expect(measures[0]).toMatchObject({ model: 'tiny', warmUpMs: 0 })
})

it('says which conversations it has in memory', async () => {
  const output = expectDone(await follow(runner, skillRun('llm.chat', ask('Remember this.'))).ended).output
  const { content } = ChatOutput.parse('inline' in output ? output.inline : undefined)
  const digests = prefixDigests({ messages: [{ role: 'user', content: 'Remember this.' }, { role: 'assistant', content }] })
  await until(() => digests.some((digest) => measures[0]?.warm.includes(digest)), { what: 'the conversation to be told as warm' })
})

it('is stopped in the middle, and goes on with the next', async () => {
  const long = skillRun('llm.chat', ask('Go on and on.', { maxTokens: 450 }), { streams: true })
  const { ended } = follow(runner, long, (event) => {
    if (event.type === 'chunk') runner.stop(long.runId, fault('cancelled', 'enough'))
  })
  expect(expectFailed(await ended).fault).toEqual(fault('cancelled', 'enough'))
  expectDone(await follow(runner, skillRun('llm.chat', ask('And now?'))).ended)
})

it('takes no prompt that does not fit', async () => {
  const { fault: why } = expectFailed(await follow(runner, skillRun('llm.chat', ask('geese '.repeat(500)))).ended)
  expect(why).toMatchObject({ code: 'context-overflow', detail: expect.stringMatching(/the prompt has \d+ tokens and its answer may have 30, the context of tiny has 512/) as string })
})

it('finds the likeness of two questions with its own vectors', async () => {
  const answers = []
  for (const text of ['how high do geese fly', 'how high do geese fly?']) {
    const { output } = expectDone(await follow(runner, skillRun('llm.chat', ask(text, { stop: ['a', 'e', 'n', 't'], maxTokens: 200 }))).ended)
    answers.push(ChatOutput.parse('inline' in output ? output.inline : undefined))
  }
  expect(answers[1]).toMatchObject({ content: answers[0]?.content, cached: 'similar' })
})

it('does not start with two files of one name', async () => {
  const again = startModels({ files: [{ file: join(folder, 'tiny.gguf'), gpu: 'off' }, { file: join(folder, 'vectors.gguf'), gpu: 'off', name: 'tiny' }], endpoints: [], cache, blobs, clock: realClock, telemetry: quiet })
  await expect(again).rejects.toThrow(MeshError)
  await expect(again).rejects.toThrow(/are both named tiny/)
})
