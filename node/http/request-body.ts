/** Bodies that never outgrow their limit: refused by their length when it is told, while reading when it is not. */
import type { IncomingMessage } from 'node:http'
import { fault } from '../../protocols/kernel/errors.ts'
import type { BridgeLimits } from './bridge-limits.ts'
import { HttpFault } from './problem.ts'

/**
 * The body in chunks.
 * @throws HttpFault 413 over `bytesMax` (nothing more is read), 408 when the client sends nothing for `stallMs` or goes away.
 */
export async function* bodyChunks(incoming: IncomingMessage, bytesMax: number, stallMs: number): AsyncGenerator<Buffer> {
  const declared = Number(incoming.headers['content-length'] ?? 0)
  if (declared > bytesMax) throw tooLarge(`${declared}`, bytesMax)
  // Without `destroyOnReturn: false` leaving the loop would close the socket before the refusal is written.
  const chunks = incoming.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>
  for (let read = 0; ;) {
    const step = await nextWithin(chunks, stallMs)
    if (step.done === true) return
    read += step.value.byteLength
    if (read > bytesMax) throw tooLarge(`more than ${bytesMax}`, bytesMax)
    yield step.value
  }
}

async function nextWithin(chunks: AsyncIterator<Buffer>, stallMs: number): Promise<IteratorResult<Buffer>> {
  let timer: NodeJS.Timeout | undefined
  const stalled = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new HttpFault(fault('bad-request', `the client sent nothing for ${stallMs} ms`, { next: 'send the request again' }), { status: 408 })), stallMs)
  })
  const next = chunks.next().catch(() => {
    throw new HttpFault(fault('bad-request', 'the client went away before the body was complete', { next: 'send the request again' }), { status: 408 })
  })
  // When the race is lost to the timer, the socket's later end must not become an unhandled rejection.
  next.catch(() => undefined)
  try {
    return await Promise.race([next, stalled])
  } finally {
    clearTimeout(timer)
  }
}

/** A JSON or YAML document, parsed. @throws HttpFault 400 malformed, 413 over its limit, 415 of another type. */
export async function readDocument(incoming: IncomingMessage, limits: BridgeLimits): Promise<unknown> {
  const mediaType = (incoming.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  const format = /^application\/(json|[\w.-]+\+json)$/.test(mediaType) ? 'JSON' : /^(application|text)\/(x-)?yaml$/.test(mediaType) ? 'YAML' : undefined
  if (format === undefined) {
    throw new HttpFault(fault('bad-request', mediaType === '' ? 'the body has no Content-Type' : `the body is ${mediaType.slice(0, 100)}`, { next: 'send application/json or application/yaml' }), { status: 415 })
  }
  const chunks: Buffer[] = []
  for await (const chunk of bodyChunks(incoming, format === 'JSON' ? limits.bodyBytesMax : limits.yamlBytesMax, limits.stallMs)) chunks.push(chunk)
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch {
    throw new HttpFault(fault('bad-request', 'the body is not UTF-8 text', { next: `send ${format} in UTF-8` }))
  }
  if (text.trim() === '') throw new HttpFault(fault('bad-request', 'the body is empty', { next: 'see /openapi.json for what this route takes' }))
  try {
    if (format === 'JSON') return JSON.parse(text)
    const { parse: parseYaml } = await import('../config/yaml.ts')
    // YAML's aliases can blow a small text up; `maxAliasCount` bounds that.
    return parseYaml(text, { maxAliasCount: 100, prettyErrors: true, logLevel: 'error' })
  } catch (thrown) {
    throw new HttpFault(fault('bad-request', `the body is not ${format}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: `send one ${format} document` }))
  }
}

function tooLarge(size: string, bytesMax: number): HttpFault {
  return new HttpFault(fault('too-large', `the body has ${size} bytes, the limit is ${bytesMax}`, { next: 'upload big content to /v1/blobs/{sha256} and refer to it by {"$blob": …}' }))
}
