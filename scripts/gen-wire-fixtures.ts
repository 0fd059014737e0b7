/**
 * Writes the golden bytes of this release's protocol version to `test/protocols/golden/`: one frame per message kind, and a
 * stored log with one entry per event type. Run it when a minor version adds something; the files of earlier versions stay
 * as they are, since a newer node must go on reading them.
 *
 *     node scripts/run24.js scripts/gen-wire-fixtures.ts
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesToHex } from '@noble/hashes/utils.js'
import { chainOrigin, extend } from '../protocols/replicated-log/chain.ts'
import { encodeFrame, encodeValue, protocolMajor, protocolMinor, type MessageKind } from '../protocols/wire.ts'
import { sampleEnvelope, sampleEvents, sampleMessages, sampleRegistrarEvents, sampleRosterEvents } from './wire-samples.ts'

const folder = join(import.meta.dirname, '../test/protocols/golden')
const version = `${protocolMajor}.${protocolMinor}`

const frames = Object.fromEntries((Object.keys(sampleMessages) as MessageKind[]).map((kind) => [kind, bytesToHex(encodeFrame([sampleEnvelope(kind)]))]))
const entries = extend({ index: 0, chain: chainOrigin }, { lineage: 1, term: 1 }, [...Object.values(sampleEvents), ...Object.values(sampleRosterEvents), ...Object.values(sampleRegistrarEvents)]).map((entry) => bytesToHex(encodeValue(entry)))

for (const [name, content] of Object.entries({ frames, log: entries })) {
  const path = join(folder, `${name}-${version}.json`)
  writeFileSync(path, `${JSON.stringify(content, undefined, 2)}\n`)
  console.log(path)
}
