/** The `SkillContext` inside a skill thread: everything that needs the node goes over the thread's port. */
import { mkdir } from 'node:fs/promises'
import type { MessagePort } from 'node:worker_threads'
import { MeshError, fault } from '../../protocols/kernel/errors.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { BlobRef, type Json } from '../../protocols/kernel/payload.ts'
import { createCheckpointer } from './checkpointer.ts'
import type { SkillContext } from './define-skill.ts'
import { createThreadCalls } from './thread-calls.ts'
import type { FromThread, RunAbout, ToThread } from './thread-messages.ts'

const textCharsMax = 500

type Answer = Extract<ToThread, { type: 'answer' }>
type MeshAnswer = Extract<ToThread, { type: 'mesh-answer' }>
type Called = Extract<ToThread, { type: 'called' }>

export interface ThreadContext {
  readonly context: SkillContext
  answer(answer: Answer | MeshAnswer): void
  called(event: Called): void
  /** The run is over: aborts the signal and refuses what still waits. Of a failed one the newest checkpoint is handed on first. */
  end(outcome: 'done' | 'failed'): void
}

export interface ThreadContextInit {
  readonly port: MessagePort
  readonly runId: string
  readonly about: RunAbout
  /** Not there yet. */
  readonly folder: string
  readonly resumed: Json | undefined
}

export function createThreadContext({ port, runId, about, folder, resumed }: ThreadContextInit): ThreadContext {
  const post = (message: FromThread, transfer: ArrayBuffer[] = []): void => port.postMessage(message, transfer)
  const waiting = new Map<number, { resolve(answer: Answer | MeshAnswer): void; reject(thrown: unknown): void }>()
  const calls = createThreadCalls(runId, post)
  const ended = new AbortController()
  let requests = 0
  let lastProgressMs = -Infinity
  let folderMade: Promise<string> | undefined

  function ask<T extends Answer | MeshAnswer = Answer>(send: (requestId: number) => void): Promise<T> {
    if (ended.signal.aborted) return Promise.reject(new MeshError('cancelled', 'the run is over'))
    const requestId = ++requests
    return new Promise((resolve, reject) => {
      waiting.set(requestId, { resolve: resolve as (answer: Answer | MeshAnswer) => void, reject })
      send(requestId)
    })
  }

  async function askMesh(about: Extract<FromThread, { type: 'ask-mesh' }>['about']): Promise<MeshAnswer> {
    const answer = await ask<MeshAnswer>((requestId) => post({ type: 'ask-mesh', runId, requestId, about }))
    if (answer.fault !== undefined) throw MeshError.from(answer.fault)
    return answer
  }

  const checkpointer = createCheckpointer(async (value, committed) => {
    const answer = await ask((requestId) => post({ type: 'checkpoint', runId, requestId, value, ...(committed ? { committed } : {}) }, [value.buffer]))
    if (answer.fault !== undefined) throw MeshError.from(answer.fault)
  })

  const context: SkillContext = {
    signal: ended.signal,
    progress(fraction, text) {
      const nowMs = performance.now()
      // The last word ("all done") must not fall into the gap.
      if (nowMs - lastProgressMs < limits.progressGapMs && fraction !== 1) return
      lastProgressMs = nowMs
      post({
        type: 'pulse', runId,
        ...(fraction === undefined || !Number.isFinite(fraction) ? {} : { fraction: Math.min(1, Math.max(0, fraction)) }),
        ...(text === undefined ? {} : { text: String(text).slice(0, textCharsMax) }),
      })
    },
    blobs: {
      async read(ref) {
        const checked = BlobRef.safeParse(ref)
        if (!checked.success) throw new MeshError('bad-input', 'blobs.read was given something that is not a blob reference', { next: 'pass an object with $blob and sizeBytes' })
        const answer = await ask((requestId) => post({ type: 'read-blob', runId, requestId, ref: checked.data }))
        if (answer.fault !== undefined) throw MeshError.from(answer.fault)
        return answer.bytes ?? new Uint8Array()
      },
      async write(content, blobAbout = {}) {
        const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : Uint8Array.from(content)
        if (bytes.byteLength > limits.blobBytesMax) {
          throw new MeshError('too-large', `a blob of ${bytes.byteLength} bytes is over the limit of ${limits.blobBytesMax}`, { next: 'split the content' })
        }
        const answer = await ask((requestId) => post({ type: 'write-blob', runId, requestId, bytes, ...blobAbout }, [bytes.buffer]))
        if (answer.ref === undefined) throw MeshError.from(answer.fault ?? fault('storage-failed', 'the blob was not stored'))
        return answer.ref
      },
    },
    checkpoint: (value, options) => (options?.committed === true ? checkpointer.commit(value) : checkpointer.publish(value)),
    resumed,
    missionId: about.missionId,
    taskId: about.taskId,
    attempt: about.attempt,
    principal: about.principal,
    idempotencyKey: about.idempotencyKey ?? idempotencyKeyOf(about),
    call: (capability, input, options) => (ended.signal.aborted ? Promise.reject(new MeshError('cancelled', 'the run is over')) : calls.call(capability, input, options)),
    capabilities: async () => (await askMesh('capabilities')).capabilities ?? [],
    inputSchema: async (capability, version) => (await askMesh({ capability, ...(version === undefined ? {} : { version }) })).inputSchema,
    ...(about.budgetUsd === undefined ? {} : { budgetUsd: about.budgetUsd }),
    ...(about.planLimits === undefined ? {} : { planLimits: about.planLimits }),
    log: (text) => post({ type: 'log', runId, text: String(text).slice(0, textCharsMax) }),
    workFolder: () => (folderMade ??= mkdir(folder, { recursive: false, mode: 0o700 }).then(() => folder)),
  }

  return {
    context,
    called: (event) => calls.called(event),
    answer(answer) {
      waiting.get(answer.requestId)?.resolve(answer)
      waiting.delete(answer.requestId)
    },
    end(outcome) {
      if (outcome === 'failed') checkpointer.flush()
      else checkpointer.discard()
      ended.abort(new MeshError('cancelled', 'the run is over'))
      for (const { reject } of waiting.values()) reject(new MeshError('cancelled', 'the run is over'))
      waiting.clear()
      calls.end()
    },
  }
}

/** One per task, whatever the attempt. */
export function idempotencyKeyOf(about: { readonly missionId: string; readonly taskId: string }): string {
  return `${about.missionId}:${about.taskId}`
}
