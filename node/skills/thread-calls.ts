/** The calls of other capabilities that a skill makes in its thread: numbered, posted to the node, answered piece by piece. */
import { hash } from 'node:crypto'
import { z } from 'zod'
import { Attributes, SchemaVersion } from '../../protocols/capability/schema.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import type { Json } from '../../protocols/kernel/payload.ts'
import { prefixesOf } from '../../protocols/models/prefixes.ts'
import { attributesOf } from '../../protocols/models/schema.ts'
import { unitsOf } from '../../protocols/models/units.ts'
import type { CallOptions, CallResult } from './define-skill.ts'
import { findNonJson } from './json-value.ts'
import { describeIssues } from './standard-schema.ts'
import type { FromThread, Parcel, ToThread } from './thread-messages.ts'

type Called = Extract<ToThread, { type: 'called' }>

export interface ThreadCalls {
  call(capability: string, input: Json, options?: CallOptions): Promise<CallResult>
  called(event: Called): void
  /** The run is over: whoever still waits hears so. */
  end(): void
}

/** What travels with a call. Another node would refuse what does not fit as no message at all, and nobody would hear why. */
const Travelling = z.object({ version: SchemaVersion.optional(), attributes: Attributes.optional(), timeLimitMs: z.number().positive().optional(), key: z.string().min(1).max(512).optional() })

interface Waiting {
  readonly onChunk: ((chunk: Json) => void) | undefined
  resolve(result: CallResult): void
  reject(thrown: MeshError): void
}

export function createThreadCalls(runId: string, post: (message: FromThread, transfer?: ArrayBuffer[]) => void): ThreadCalls {
  const waiting = new Map<number, Waiting>()
  let made = 0
  /** By what was asked: how often. */
  const asked = new Map<string, number>()

  /** By what is asked, and not by when: a later attempt that begins further on asks for other things first. */
  function keyFor(capability: string, text: string): string {
    const digest = hash('sha256', `${capability} ${text}`).slice(0, 32)
    const times = (asked.get(digest) ?? 0) + 1
    asked.set(digest, times)
    return `${digest}.${times}`
  }

  return {
    async call(capability, input, options = {}) {
      const found = input === undefined ? 'it is undefined' : findNonJson(input)
      if (found !== undefined) throw new MeshError('bad-input', `the input of ${capability} is not JSON: ${found}`, { next: 'pass plain objects, arrays, strings, finite numbers, booleans and null' })
      const { version, attributes, timeLimitMs, signal, onChunk, key } = options
      // Looked at here, where it is whole and nothing else waits for it.
      const wanted = attributesOf(capability, input, attributes)
      const fits = Travelling.safeParse({ version, attributes: wanted, timeLimitMs, key })
      if (!fits.success) throw new MeshError('bad-input', `${capability} cannot be called so: ${describeIssues(fits.error.issues)}`, { next: 'correct the options of the call' })
      signal?.throwIfAborted()
      const callNumber = ++made
      const text = JSON.stringify(input)
      const bytes = new TextEncoder().encode(text)
      const units = unitsOf(capability, input)
      const prefixes = prefixesOf(capability, input)
      const cancel = (): void => {
        const one = waiting.get(callNumber)
        if (one === undefined) return
        waiting.delete(callNumber)
        post({ type: 'call-cancelled', runId, callNumber })
        one.reject(new MeshError('cancelled', `the call of ${capability} was cancelled`))
      }
      signal?.addEventListener('abort', cancel, { once: true })
      try {
        return await new Promise<CallResult>((resolve, reject) => {
          waiting.set(callNumber, { onChunk, resolve, reject })
          post({
            type: 'call', runId, callNumber, capability, input: bytes,
            options: { ...(version === undefined ? {} : { version }), ...(wanted === undefined ? {} : { attributes: wanted }), ...(units === undefined ? {} : { units }), ...(prefixes.length === 0 ? {} : { prefixes }), ...(timeLimitMs === undefined ? {} : { timeLimitMs }), key: key ?? keyFor(capability, text), streams: onChunk !== undefined },
          }, [bytes.buffer])
        })
      } finally {
        signal?.removeEventListener('abort', cancel)
      }
    },
    called({ callNumber, chunk, output, by, costUsd, fault }) {
      const one = waiting.get(callNumber)
      if (one === undefined) return
      if (chunk !== undefined) return one.onChunk?.(chunk)
      waiting.delete(callNumber)
      if (fault !== undefined) one.reject(MeshError.from(fault))
      else one.resolve({ output: output === undefined ? null : open(output), by: by ?? { peer: '', name: '' }, costUsd: costUsd ?? 0 })
    },
    end() {
      for (const { reject } of waiting.values()) reject(new MeshError('cancelled', 'the run is over'))
      waiting.clear()
    },
  }
}

function open(parcel: Parcel): Json {
  return 'inline' in parcel ? parcel.inline : (JSON.parse(new TextDecoder().decode(parcel.bytes)) as Json)
}
