/** How a node says which conversations it has in memory, and a caller which it is about to go on with: digests of a prompt's beginnings. */
import { canonicalJson, digestOfText } from '../kernel/hashing.ts'
import { chatCapability, ChatInput } from './schema.ts'

/** Of one conversation. */
export const prefixDigestsMax = 8

/** 64 bits: a false match costs a little time, nothing more. */
const digestCharacters = 16

/**
 * The shortest beginning first: what all calls of one role share (the system messages at the start, and the tools), then the conversation after each of its
 * last messages. Two inputs with a digest in common begin alike up to there, whatever comes after it.
 *
 * @returns at most `prefixDigestsMax`, none for a conversation that is empty.
 */
export function prefixDigests({ messages, tools }: Pick<ChatInput, 'messages' | 'tools'>): string[] {
  const afterSystem = messages.findIndex((message) => message.role !== 'system')
  const headLength = afterSystem === -1 ? messages.length : afterSystem
  // Longer conversations are told by their ends: who goes on with one adds a few messages to what was there.
  const firstTold = Math.max(headLength, messages.length - prefixDigestsMax + 1)

  let digest = shortDigest(tools === undefined || tools.length === 0 ? '' : canonicalJson(tools))
  const told: string[] = []
  const tell = (length: number): void => {
    if (length > 0 && (length === headLength || length > firstTold)) told.push(digest)
  }
  if (headLength === 0 && tools !== undefined && tools.length > 0) told.push(digest)
  for (const [index, message] of messages.entries()) {
    digest = shortDigest(`${digest}${canonicalJson(message)}`)
    tell(index + 1)
  }
  return told
}

/** The same of what is asked of any capability. Of what is no conversation there are none: its provider says what is wrong with it. */
export function prefixesOf(capability: string, input: unknown): string[] {
  if (capability !== chatCapability) return []
  const checked = Conversation.safeParse(input)
  return checked.success ? prefixDigests(checked.data) : []
}

const Conversation = ChatInput.pick({ messages: true, tools: true }).loose()

function shortDigest(text: string): string {
  return digestOfText(text).slice(0, digestCharacters)
}
