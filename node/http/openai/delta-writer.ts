/**
 * The pieces of a streamed answer on their way to one client. As long as the client keeps up each is a chunk of its own; when it does not,
 * what comes meanwhile is put together and sent as one chunk when it has caught up. The model is not held up by its reader, so that what waits
 * is bounded too.
 */
import { randomBytes } from 'node:crypto'
import type { Json } from '../../../protocols/kernel/payload.ts'
import type { ChatDelta, ToolCall } from '../../../protocols/models/schema.ts'
import type { SseStream } from '../sse-stream.ts'
import type { ChunkDelta } from './chat-answer.ts'

export interface DeltaWriterInit {
  readonly stream: Pick<SseStream, 'send' | 'full' | 'onDrained'>
  /** A delta as a whole chunk. */
  readonly chunkOf: (delta: ChunkDelta) => unknown
  /** Of functions, in one answer. What belongs to further ones is dropped. */
  readonly callsMax: number
  /** UTF-16 units that may wait for a slow client. */
  readonly waitingMax: number
  /** More than that waits. */
  readonly tooSlow: () => void
}

export interface DeltaWriter {
  /** A piece as its node sent it. @returns false when it is none. */
  push(chunk: Json): boolean
  /** Whether a piece has come. */
  readonly begun: boolean
  /** A whole answer of which no piece has come. */
  pushWhole(content: string | null, toolCalls: readonly ToolCall[]): void
  /** Resolves when the client has taken enough for the rest to be sent; never, when it does not. */
  drained(): Promise<void>
}

type CallPiece = NonNullable<ChatDelta['toolCall']>
type Piece = { readonly content: string } | { readonly toolCall: CallPiece }

export function createDeltaWriter({ stream, chunkOf, callsMax, waitingMax, tooSlow }: DeltaWriterInit): DeltaWriter {
  let begun = false
  const callsBegun = new Set<number>()
  const waiting: Piece[] = []
  let waitingLength = 0
  let whenDrained: (() => void) | undefined

  function write(piece: Piece): void {
    stream.send({ data: chunkOf('content' in piece ? { content: piece.content } : { tool_calls: [callDelta(piece.toolCall)] }) })
  }

  /** The first piece of a call has its id and type, whatever the model's node said first. */
  function callDelta({ index, id, name, arguments: text = '' }: CallPiece): NonNullable<ChunkDelta['tool_calls']>[number] {
    const called = { ...(name === undefined ? {} : { name }), arguments: text }
    if (callsBegun.has(index)) return { index, function: called }
    callsBegun.add(index)
    return { index, id: id ?? `call_${randomBytes(12).toString('base64url')}`, type: 'function', function: called }
  }

  function put(piece: Piece): void {
    if (!begun) {
      begun = true
      stream.send({ data: chunkOf({ role: 'assistant', content: '', refusal: null }) })
    }
    if (waiting.length === 0 && !stream.full()) return write(piece)
    if (waiting.length === 0) stream.onDrained(goOn)
    waitingLength += 'content' in piece ? piece.content.length : piece.toolCall.arguments?.length ?? 0
    const last = waiting.at(-1)
    const both = last === undefined ? undefined : joined(last, piece)
    if (both === undefined) waiting.push(piece)
    else waiting[waiting.length - 1] = both
    if (waitingLength > waitingMax) tooSlow()
  }

  function goOn(): void {
    while (waiting.length > 0 && !stream.full()) write(waiting.shift() as Piece)
    if (waiting.length > 0 || (whenDrained !== undefined && stream.full())) return stream.onDrained(goOn)
    waitingLength = 0
    whenDrained?.()
  }

  return {
    get begun() {
      return begun
    },
    push(chunk) {
      if (typeof chunk !== 'object' || chunk === null || Array.isArray(chunk)) return false
      const { content, toolCall } = chunk
      if (typeof content === 'string') put({ content })
      else if (content !== undefined) return false
      if (toolCall === undefined) return true
      const piece = callPieceOf(toolCall)
      if (piece === undefined) return false
      if (piece.index < callsMax) put({ toolCall: piece })
      return true
    },
    pushWhole(content, toolCalls) {
      if (content !== null || toolCalls.length === 0) put({ content: content ?? '' })
      for (const [index, call] of toolCalls.slice(0, callsMax).entries()) put({ toolCall: { index, ...call } })
    },
    drained() {
      if (waiting.length === 0 && !stream.full()) return Promise.resolve()
      return new Promise((resolve) => {
        whenDrained = resolve
        if (waiting.length === 0) stream.onDrained(goOn)
      })
    },
  }
}

/** Checked by hand: a schema for every token would cost more than all the rest. */
function callPieceOf(value: Json): CallPiece | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const { index, id, name, arguments: text } = value
  if (typeof index !== 'number' || !Number.isSafeInteger(index) || index < 0) return undefined
  if ((id !== undefined && typeof id !== 'string') || (name !== undefined && typeof name !== 'string') || (text !== undefined && typeof text !== 'string')) return undefined
  return { index, ...(id === undefined ? {} : { id }), ...(name === undefined ? {} : { name }), ...(text === undefined ? {} : { arguments: text }) }
}

/** Two pieces as one; undefined when they are of different things. */
function joined(left: Piece, right: Piece): Piece | undefined {
  if ('content' in left) return 'content' in right ? { content: left.content + right.content } : undefined
  if (!('toolCall' in right) || left.toolCall.index !== right.toolCall.index || right.toolCall.name !== undefined) return undefined
  return { toolCall: { ...right.toolCall, ...left.toolCall, arguments: (left.toolCall.arguments ?? '') + (right.toolCall.arguments ?? '') } }
}
