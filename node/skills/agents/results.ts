/** Results and files as a model is shown them: whole when short; else stored, with their beginning and end. */
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { type BlobRef, type Json, blobRefsIn, isBlobRef } from '../../../protocols/kernel/payload.ts'
import type { SkillContext } from '../define-skill.ts'
import { dataBlock } from './data-block.ts'
import { agentLimits } from './limits.ts'
import { readMoreName } from './tools.ts'

type Blobs = SkillContext['blobs']

export interface ShownResult {
  readonly text: string
  readonly stored?: { readonly label: string; readonly ref: BlobRef }
}

/** @param label of the call, under which more of it can be read. */
export async function shownResult(blobs: Blobs, label: string, capability: string, output: Json): Promise<ShownResult> {
  const text = typeof output === 'string' ? output : JSON.stringify(output)
  if (text.length <= agentLimits.resultCharsMax) return { text: dataBlock(`result of ${capability}`, text) }
  const ref = await blobs.write(text, { name: `${capability}-result.txt`, mediaType: 'text/plain' })
  return { text: headAndTail(`result of ${capability}`, label, text), stored: { label, ref } }
}

function headAndTail(name: string, label: string, text: string): string {
  const { headChars, tailChars } = agentLimits
  return [
    `It has ${text.length} characters, too many to show. All of it is stored as "${label}"; ${readMoreName} reads any part. Its beginning and its end:`,
    dataBlock(`${name}, characters 0 to ${headChars}`, text.slice(0, headChars)),
    dataBlock(`${name}, characters ${text.length - tailChars} to ${text.length}`, text.slice(-tailChars)),
  ].join('\n')
}

export interface ShownInputs {
  /** A block for each entry. */
  readonly text: string
  /** Of which only the beginning and end are shown, by label. */
  readonly files: Readonly<Record<string, BlobRef>>
}

/** What a task was given, for its prompt: values as JSON, text files with their content. */
export async function shownInputs(blobs: Blobs, given: Readonly<Record<string, unknown>>): Promise<ShownInputs> {
  const blocks: string[] = []
  const files: Record<string, BlobRef> = {}
  for (const [name, value] of Object.entries(given).flatMap(([key, inner]) => unfolded(key, inner))) {
    if (!isBlobRef(value)) {
      blocks.push(dataBlock(name, value))
      continue
    }
    const content = value.sizeBytes <= agentLimits.fileBytesMax * 64 ? textOf(await blobs.read(value)) : undefined
    const about = `${name}${value.name === undefined ? '' : `: ${value.name}`}`
    if (content === undefined) blocks.push(`${JSON.stringify(about)} is a file of ${value.sizeBytes} bytes that is not text, or too large to be read here. Pass it to functions as {"$input": ${JSON.stringify(name)}}.`)
    else if (content.length <= agentLimits.fileBytesMax) blocks.push(dataBlock(about, content))
    else {
      files[name] = value
      blocks.push(headAndTail(about, name, content))
    }
  }
  return { text: blocks.join('\n\n'), files }
}

/** Lists and objects that hold files become their entries: `readmes.0`. */
function unfolded(name: string, value: unknown): [string, unknown][] {
  if (typeof value !== 'object' || value === null || isBlobRef(value) || blobRefsIn(value).length === 0) return [[name, value]]
  // A packed folder is of use to functions only, as it is.
  if ('$folder' in value) return [[name, value]]
  return Object.entries(value).flatMap(([key, inner]) => unfolded(`${name}.${key}`, inner))
}

/** Undefined when the bytes are no UTF-8 text. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

/** @throws MeshError `bad-input` when it is not text. */
export async function partOf(blobs: Blobs, ref: BlobRef, label: string, from: number, chars: number): Promise<string> {
  const text = textOf(await blobs.read(ref))
  if (text === undefined) throw new MeshError('bad-input', `"${label}" is not text`)
  const end = Math.min(text.length, from + chars)
  if (from >= text.length) return `"${label}" has ${text.length} characters: there is nothing at ${from}.`
  return dataBlock(`${label}, characters ${from} to ${end} of ${text.length}`, text.slice(from, end))
}
