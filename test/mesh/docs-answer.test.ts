/** A question to a folder of documents over real processes: three nodes, of which one has models, at a scripted endpoint on loopback. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { AnswerOutput } from '../../node/skills/docs-answer/declarations.ts'
import type { MissionId } from '../../protocols/kernel/ids.ts'
import { type OpenAiServer, on, refuse, rules, sayJson, startOpenAiServer } from '../support/openai-server/server.ts'
import { type RealMesh, startRealMesh } from '../support/real-mesh.ts'
import { repositoryFolder } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

const handbook = join(repositoryFolder, 'test', 'fixtures', 'docs-answer', 'handbook')
let server: OpenAiServer
let mesh: RealMesh

/** Answers from what it is shown: the sentence with `years` in it, with the number of its passage, and a passage that does not exist. */
const fromThePassages = rules(on({ system: 'You answer a question from passages', schema: 'answered' }, ({ user }) => {
  const passage = [...user.matchAll(/<<\w+ passage (\d+) [^\n]*\n([\s\S]*?)\n<<\w+ end>>/g)].find(([, , text]) => text?.includes('battery is covered'))
  const sentence = /The battery is covered[^.]*/.exec(passage?.[2] ?? '')?.[0].replace(/\s+/g, ' ')
  return sayJson({ answered: sentence !== undefined, answer: `${sentence ?? 'Nothing is said of it'} [${passage?.[1] ?? ''}][88]. That is generous indeed.` })
}))

beforeAll(async () => {
  server = await startOpenAiServer({ script: fromThePassages })
  mesh = await startRealMesh([{ name: 'node-a' }, { name: 'node-b', flags: ['--llm-url', server.url] }, { name: 'node-c' }])
  await until(async () => {
    const offered = (await mesh.node('node-a').client.capabilities()).map((capability): string => capability.name)
    return ['llm.chat', 'llm.embed', 'docs.answer', 'docs.search'].every((name) => offered.includes(name))
  }, { what: 'the models and the skills to be known', context: mesh.lastWords })
}, 120_000)
afterAll(async () => {
  await mesh?.stop()
  await server?.close()
}, 120_000)
beforeEach(() => {
  server.script = fromThePassages
  server.forget()
})

interface Answered {
  readonly id: MissionId
  readonly state: string
  readonly result: AnswerOutput
  readonly saved?: readonly string[]
}

function ask(folder: string, question: string, ...more: readonly string[]): Promise<Answered> {
  return mesh.node('node-a').skein<Answered>(['run', 'docs.answer', '--input', `path=${folder}`, '--input', `question=${question}`, ...more])
}

const question = 'How long is the battery under warranty?'

describe('docs.answer in a mesh where one node has models', () => {
  it('is written by its model from what the others found, and held to it', { timeout: 120_000 }, async () => {
    const { id, state, result } = await ask(handbook, question)
    expect(state).toBe('completed')
    expect(result).toMatchObject({
      answered: true, written: 'model', model: 'test-model',
      answer: 'The battery is covered for two years or 500 full charging cycles, whichever comes first [1]. That is generous indeed. [no source]',
      citations: [{ file: 'warranty.md', lines: [13, 14] }],
    })
    expect(result.notes.join('\n')).toContain('cited 1 passage that does not exist')
    expect(server.chats).toHaveLength(1)
    // Meanings were compared, too, by the same model in every part.
    expect(server.embeddings.length).toBeGreaterThan(1)
    const why = await mesh.node('node-c').client.why(id)
    expect(why.tasks.filter((task) => task.capability === 'docs.search').length).toBeGreaterThan(1)
  })

  it('answers from the documents as they are now', { timeout: 120_000 }, async () => {
    const changed = join(mesh.folder, 'changed')
    cpSync(handbook, changed, { recursive: true })
    const path = join(changed, 'warranty.md')
    writeFileSync(path, readFileSync(path, 'utf8').replace('two years or 500', 'three years or 900'))
    const { result } = await ask(changed, question)
    expect(result.answer).toContain('three years or 900 full charging cycles')
    expect(result.citations[0]?.quote).toContain('three years or 900')
  })

  it('is quoted when its input asks for that, and no model hears of it', { timeout: 120_000 }, async () => {
    const { result, saved = [] } = await ask(handbook, question, '--input', 'write=extracted', '--input', 'embeddings=false', '--output', join(mesh.folder, 'answer'))
    expect(result).toMatchObject({ answered: true, written: 'extracted' })
    expect(result.answer).toContain('The battery is covered for two years')
    expect(server.requests.filter(({ method }) => method === 'POST')).toEqual([])
    const page = readFileSync(saved.find((name) => name.endsWith('answer.md')) ?? '', 'utf8')
    expect(page).toContain('(warranty.md#L13-L14)')
  })

  it('is quoted when no model can be asked, and says why', { timeout: 120_000 }, async () => {
    server.script = rules(on({}, refuse(401, 'Incorrect API key provided', { code: 'invalid_api_key' })))
    const { result } = await ask(handbook, question)
    expect(result).toMatchObject({ answered: true, written: 'extracted' })
    expect(result.notes.join('\n')).toContain('no model wrote this')
  })
})
