/** What was given, as far as a planner must know it: the beginning of each thing, how long it is, and its digest. */
import { digestOfText } from '../../../protocols/kernel/hashing.ts'
import { isBlobRef } from '../../../protocols/kernel/payload.ts'
import type { SkillContext } from '../define-skill.ts'
import { dataBlock } from './data-block.ts'
import { agentLimits } from './limits.ts'

/** Characters of each thing that are shown, by how short it must be; 0: only what it is. */
const charsByLevel = [4_000, 600, 0]

/** @returns undefined when it cannot be shorter. */
export async function excerpts(blobs: SkillContext['blobs'], given: Readonly<Record<string, unknown>>, level: number): Promise<string | undefined> {
  const chars = charsByLevel[level]
  if (chars === undefined) return undefined
  const blocks: string[] = []
  for (const [name, value] of Object.entries(given)) {
    const text = await textOf(blobs, value)
    if (text === undefined) blocks.push(`${JSON.stringify(name)}: a file that is not text, or too large to look into (${isBlobRef(value) ? `${value.name ?? value.$blob.slice(0, 12)}, ${value.sizeBytes} bytes` : ''})`)
    else if (text.length <= chars) blocks.push(dataBlock(name, text))
    else {
      const about = `${JSON.stringify(name)} has ${text.length} characters (digest ${digestOfText(text).slice(0, 12)}); tasks are given all of it`
      blocks.push(chars === 0 ? `${about}.` : `${about}, and this is its beginning:\n${dataBlock(`beginning of ${name}`, text.slice(0, chars))}`)
    }
  }
  return blocks.join('\n\n')
}

async function textOf(blobs: SkillContext['blobs'], value: unknown): Promise<string | undefined> {
  if (!isBlobRef(value)) return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'null')
  if (value.sizeBytes > agentLimits.fileBytesMax * 8) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await blobs.read(value))
  } catch (thrown) {
    if (thrown instanceof TypeError) return undefined
    throw thrown
  }
}
