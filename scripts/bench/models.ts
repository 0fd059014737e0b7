/**
 * What the mesh adds to language models: to many calls at once, to each token, to the first token, and to a call of a skill. Printed, not asserted.
 *
 * `npm run bench:models [-- --only overhead,tokens,first-token,call] [--ack ephemeral,local] [--runs 5] [--calls 100] [--tokens 128] [--requests 200] [--tiny] [--profiles DIR] [--json]`.
 * `--tiny`: a model whose tokens take no time, which only shows that it can be measured. No model is downloaded: one with random weights is written, the others are a scripted endpoint.
 */
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Acknowledgement } from '../../protocols/tasking/schema.ts'
import { numberOf, reportOf } from './figure.ts'
import { measureCalls } from './models/call.ts'
import { startEndpoint } from './models/endpoint.ts'
import { measureFirstToken } from './models/first-token.ts'
import { measureOverhead } from './models/overhead.ts'
import { measureSpeed, versionOf } from './models/speed.ts'

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string' }, ack: { type: 'string', default: 'ephemeral,local' }, runs: { type: 'string', default: '5' }, calls: { type: 'string', default: '100' }, tokens: { type: 'string', default: '128' },
    requests: { type: 'string', default: '200' }, tiny: { type: 'boolean', default: false }, profiles: { type: 'string' }, json: { type: 'boolean', default: false },
  },
})
const parts = ['overhead', 'tokens', 'first-token', 'call'] as const
const wanted = flags.only?.split(',') ?? parts
const unknown = wanted.find((name) => !parts.some((known) => known === name))
if (unknown !== undefined) throw new Error(`--only names "${unknown}"; there are ${parts.join(', ')}`)
const acknowledgements = flags.ack.split(',').map((level) => Acknowledgement.parse(level))
const runs = numberOf('runs', flags.runs)
const requests = numberOf('requests', flags.requests)
const calls = numberOf('calls', flags.calls)
const tokens = numberOf('tokens', flags.tokens)

/** Each part's nodes leave their profiles in a folder of their own. */
function profilesOf(part: string): { profiles?: string } {
  if (flags.profiles === undefined) return {}
  const profiles = join(resolve(flags.profiles), part)
  mkdirSync(profiles, { recursive: true })
  return { profiles }
}

// The nodes shall have the models of the benchmark, and none of its user's.
for (const name of ['OPENAI_API_KEY', 'OPENAI_BASE_URL', 'SKEIN_LLM_URL', 'SKEIN_LLM_KEY']) Reflect.deleteProperty(process.env, name)

await reportOf('models', flags.json, async (collected) => {
  collected.versions['openai'] = versionOf('openai')
  const endpoint = await startEndpoint()
  try {
    if (wanted.includes('overhead')) await measureOverhead(endpoint, { acknowledgements, runs, calls, ...profilesOf('overhead') }, collected)
    if (wanted.includes('first-token')) await measureFirstToken(endpoint, { runs, requests, ...profilesOf('first-token') }, collected)
    if (wanted.includes('tokens')) await measureSpeed({ runs, tokens, tiny: flags.tiny, ...profilesOf('tokens') }, collected)
    if (wanted.includes('call')) await measureCalls({ runs, calls }, collected)
  } finally {
    await endpoint.stop()
  }
})
