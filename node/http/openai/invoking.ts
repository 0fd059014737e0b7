/** Asking the mesh for a model's work on behalf of a client, and saying what went wrong as OpenAI's clients understand it. */
import type { ServerResponse } from 'node:http'
import type { Invoked, MeshApi } from '../../../actors/mesh-api.ts'
import { fault, MeshError } from '../../../protocols/kernel/errors.ts'
import type { Principal } from '../../../protocols/kernel/ids.ts'
import type { Json } from '../../../protocols/kernel/payload.ts'
import { chatCapability, modelsVersion } from '../../../protocols/models/schema.ts'
import type { embedCapability } from '../../../protocols/models/schema.ts'
import { written } from '../answer.ts'
import { HttpFault } from '../problem.ts'
import { modelsIn } from './models.ts'

/** A little less than OpenAI's own clients wait for an answer: they are told why there is none. */
export const modelTimeMsMax = 9.5 * 60_000

/** Nobody is there any more to be answered. */
export class ClientGone extends Error {
  constructor() {
    super('the client has gone')
    this.name = 'ClientGone'
  }
}

/** For the log alone: nothing of it is sent. */
export function nobodyAnswered(): Response {
  return written(499)
}

/** Aborts with `ClientGone` when the connection closes before the answer is written. */
export function clientSignal(outgoing: ServerResponse): AbortSignal {
  const gone = new AbortController()
  outgoing.once('close', () => {
    if (!outgoing.writableFinished) gone.abort(new ClientGone())
  })
  if (outgoing.destroyed) gone.abort(new ClientGone())
  return gone.signal
}

export interface ModelCall {
  readonly capability: typeof chatCapability | typeof embedCapability
  /** Undefined: any. */
  readonly model: string | undefined
  readonly input: object
  readonly principal: Principal
  /** Ends the call at once; its reason is what is thrown. */
  readonly signal: AbortSignal
  readonly onChunk?: (chunk: Json) => void
}

/** @throws the signal's reason; HttpFault with the status and words that OpenAI's clients expect; anything else is a bug. */
export async function invokeModel(mesh: MeshApi, call: ModelCall): Promise<Invoked> {
  const { capability, model, input, principal, signal, onChunk } = call
  try {
    return await unlessAborted(signal, mesh.invoke(
      // It came as JSON, or is made of what did.
      { capability, version: modelsVersion, ...(model === undefined ? {} : { attributes: { model } }), input: input as { [key: string]: Json }, timeLimitMs: modelTimeMsMax },
      { principal, signal, ...(onChunk === undefined ? {} : { onChunk }) },
    ))
  } catch (thrown) {
    if (signal.aborted) throw signal.reason
    throw thrown instanceof MeshError ? await faultOf(thrown, mesh, call) : thrown
  }
}

function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    if (signal.aborted) abort()
    const settled = () => signal.removeEventListener('abort', abort)
    promise.then((value) => { settled(); resolve(value) }, (thrown: Error) => { settled(); reject(thrown) })
  })
}

async function faultOf({ fault: told }: MeshError, mesh: MeshApi, { capability, model }: ModelCall): Promise<HttpFault> {
  switch (told.code) {
    case 'no-provider': case 'unknown-capability': case 'version-mismatch': {
      const views = await mesh.capabilities().catch(() => undefined)
      if (views === undefined) return new HttpFault(told)
      const does = capability === chatCapability ? 'chat' : 'embed'
      const names = modelsIn(views).filter((served) => served.skein.does.includes(does)).map(({ id }) => id)
      return names.length === 0 ? noModelAtAll(does) : model === undefined || names.includes(model) ? new HttpFault(told) : modelNotFound(model, does, names)
    }
    case 'unauthorised':
      // The client's own token was good: this is the key of the node that asked an endpoint.
      return new HttpFault(fault('provider-failed', told.detail, { retryable: false, ...(told.next === undefined ? {} : { next: told.next }) }))
    case 'context-overflow': return new HttpFault(told, { param: capability === chatCapability ? 'messages' : 'input' })
    default: return new HttpFault(told)
  }
}

function noModelAtAll(does: 'chat' | 'embed'): HttpFault {
  return new HttpFault(
    fault('no-provider', does === 'chat' ? 'no node of the mesh has a model that chats' : 'no node of the mesh has a model that embeds', {
      next: 'start one on any machine of the mesh: "skein node start --model file.gguf", or a node with OPENAI_API_KEY or SKEIN_LLM_URL set',
    }),
    { openAiCode: 'no_model' },
  )
}

/** @param names of those that there are. */
export function modelNotFound(model: string, does: 'chat' | 'embed' | undefined, names: readonly string[]): HttpFault {
  const what = does === undefined ? 'a model' : does === 'chat' ? 'a model that chats' : 'a model that embeds'
  const listed = names.length === 0 ? 'it has none' : `it has ${names.slice(0, 10).join(', ')}${names.length > 10 ? ` and ${names.length - 10} more` : ''}`
  return new HttpFault(
    fault('no-provider', `no node of the mesh has ${what} named ${model.slice(0, 256)}: ${listed}`, { retryable: false, next: 'name one of GET /v1/models, or "auto" for any' }),
    { status: 404, openAiCode: 'model_not_found', param: 'model' },
  )
}
