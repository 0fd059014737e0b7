/** Making text shorter without losing what matters: by a model, in as many pieces as its context needs. Nothing is ever cut. */
import { MeshError, toFault } from '../../../protocols/kernel/errors.ts'
import { withoutThoughts } from '../json-in-text.ts'
import { type Mesh, askModel } from './ask-model.ts'
import { dataBlock } from './data-block.ts'
import { agentLimits } from './limits.ts'
import { condensePrompt } from './prompts/condense.ts'
import type { AgentUsage } from './schema.ts'
import { addUsage } from './usage.ts'

export interface CondenseRequest {
  /** Unique within the task. */
  readonly key: string
  /** What the text is needed for. */
  readonly goal: string
  readonly text: string
  readonly model?: string | undefined
  readonly signal?: AbortSignal
}

export interface Condensed {
  readonly text: string
  readonly usage: AgentUsage
}

/** @throws MeshError `context-overflow` when even a small piece does not fit; else as `askModel`. */
export async function condense(mesh: Mesh, request: CondenseRequest): Promise<Condensed> {
  const { text, usage } = await condensePiece(mesh, request, 0)
  return { text: `[condensed by a model from ${request.text.length} characters]\n${text}`, usage }
}

async function condensePiece(mesh: Mesh, request: CondenseRequest, halvings: number): Promise<Condensed> {
  const { key, goal, text, model, signal } = request
  try {
    const { answer, usage } = await askModel(mesh, {
      key, model, ...(signal === undefined ? {} : { signal }),
      messages: [{ role: 'system', content: condensePrompt }, { role: 'user', content: `It is needed for this goal: ${goal}\n\n${dataBlock('text', text)}` }],
    })
    const short = withoutThoughts(answer.content ?? '').trim()
    if (short === '' || answer.finish === 'length') throw new MeshError('context-overflow', `a text of ${text.length} characters could not be condensed in one piece`)
    // One that did not get shorter says no more than it did.
    return { text: short.length < text.length ? short : text, usage }
  } catch (thrown) {
    if (toFault(thrown).code !== 'context-overflow' || halvings >= agentLimits.condenseHalvingsMax || text.length < agentLimits.condenseCharsMin) throw thrown
    const at = middleOf(text)
    const left = await condensePiece(mesh, { ...request, key: `${key}a`, text: text.slice(0, at) }, halvings + 1)
    const right = await condensePiece(mesh, { ...request, key: `${key}b`, text: text.slice(at) }, halvings + 1)
    return { text: `${left.text}\n${right.text}`, usage: addUsage(left.usage, right.usage) }
  }
}

/** Near the middle, after a line's or a word's end where there is one. */
function middleOf(text: string): number {
  const half = Math.floor(text.length / 2)
  for (const end of ['\n', ' ']) {
    const at = text.lastIndexOf(end, half)
    if (at > text.length / 4) return at + 1
  }
  // Not between the halves of a surrogate pair.
  return (text.charCodeAt(half) & 0xfc00) === 0xdc00 ? half + 1 : half
}
