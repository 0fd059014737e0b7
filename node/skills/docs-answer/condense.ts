/** Makes passages that do not fit a model's context fit: in rounds, each batch of them is noted down by a model of its own, until the notes fit. */
import type { ChatMessage } from '../../../protocols/models/schema.ts'
import { MeshError } from '../define-skill.ts'
import { checkCitations } from './check-citations.ts'
import { condensePrompt } from './prompts.ts'
import type { Material } from './prompts.ts'

export interface Condenser {
  readonly question: string
  /** What the materials of one prompt may have, in tokens. */
  readonly materialTokensMax: number
  /** Of a whole prompt with these materials. */
  promptTokens(materials: readonly Material[]): number
  ask(messages: readonly ChatMessage[], key: string, maxTokens: number): Promise<string>
  progress(text: string): void
  readonly signal: AbortSignal
}

export interface Condensed {
  readonly materials: readonly Material[]
  /** What was condensed, and what was left out. */
  readonly notes: readonly string[]
}

const roundsMax = 4
const callsAtOnce = 4
const materialTokensMin = 128
const notedTokensMin = 48

/**
 * @param materials best first.
 * @throws MeshError `context-overflow` when not even a piece of a passage fits; what asking throws, when every batch of a round fails.
 */
export async function condense(materials: readonly Material[], condenser: Condenser): Promise<Condensed> {
  const { materialTokensMax, promptTokens } = condenser
  const base = promptTokens([])
  const tokens = (list: readonly Material[]): number => promptTokens(list) - base
  if (materialTokensMax < materialTokensMin) throw new MeshError('context-overflow', `the model's context leaves ${Math.max(0, materialTokensMax)} tokens for passages, at least ${materialTokensMin} are needed`, { next: 'start a model with a larger context, or ask a shorter question' })
  const notes: string[] = []
  let current = materials
  let rounds = 0
  for (; tokens(current) > materialTokensMax && rounds < roundsMax; rounds++) {
    const batches = batchesOf(current.flatMap((material) => piecesOf(material, materialTokensMax, tokens)), materialTokensMax, tokens)
    condenser.progress(`condensing ${batches.length} batches of passages`)
    current = await condenseRound(batches, rounds + 1, condenser, notes)
  }
  if (rounds > 0) notes.unshift(`the ${materials.length} passages did not fit the model's context: they were condensed in ${rounds === 1 ? 'one round' : `${rounds} rounds`}`)
  const fitting: Material[] = []
  const leftOut: Material[] = []
  for (const material of current) (leftOut.length === 0 && tokens([...fitting, material]) <= materialTokensMax ? fitting : leftOut).push(material)
  if (leftOut.length > 0) notes.push(`what was noted down of ${numbered(leftOut)} still did not fit and was left out`)
  return { materials: fitting, notes }
}

/** As many neighbours as fit go together. */
function batchesOf(materials: readonly Material[], tokensMax: number, tokens: (list: readonly Material[]) => number): Material[][] {
  const batches: Material[][] = []
  for (const material of materials) {
    const last = batches.at(-1)
    if (last !== undefined && tokens([...last, material]) <= tokensMax) last.push(material)
    else batches.push([material])
  }
  return batches
}

/** A passage that alone is too large is cut into pieces, none of which is lost. */
function piecesOf(material: Material, tokensMax: number, tokens: (list: readonly Material[]) => number): Material[] {
  if (tokens([material]) <= tokensMax || material.text.length < 2) return [material]
  const middle = Math.floor(material.text.length / 2)
  const space = material.text.lastIndexOf(' ', middle)
  const cut = space > middle / 2 ? space + 1 : middle
  return [material.text.slice(0, cut), material.text.slice(cut)].flatMap((text) => piecesOf({ ...material, text }, tokensMax, tokens))
}

async function condenseRound(batches: readonly Material[][], round: number, condenser: Condenser, notes: string[]): Promise<Material[]> {
  const notedTokens = Math.max(notedTokensMin, Math.floor(condenser.materialTokensMax / Math.max(2, batches.length)))
  const noted: (Material | undefined)[] = []
  let failure: unknown
  let failed = 0
  for (let at = 0; at < batches.length; at += callsAtOnce) {
    await Promise.all(batches.slice(at, at + callsAtOnce).map(async (batch, offset) => {
      const index = at + offset
      try {
        noted[index] = materialOfNotes(await condenser.ask(condensePrompt(condenser.question, batch), `condense-${round}-${index + 1}`, notedTokens), batch)
      } catch (thrown) {
        // Too large, over the budget or cancelled: asking for the next batch would go the same way.
        if (thrown instanceof MeshError && ['context-overflow', 'over-limit', 'cancelled', 'deadline-exceeded'].includes(thrown.fault.code)) throw thrown
        failure = thrown
        failed++
        notes.push(`${numbered(batch)} could not be condensed and was left out: ${thrown instanceof Error ? thrown.message.slice(0, 200) : String(thrown)}`)
      }
    }))
  }
  if (failed === batches.length) throw failure
  return noted.filter((material) => material !== undefined)
}

/** Only what still names its passages is of use. Undefined when there is nothing in them. */
function materialOfNotes(text: string, batch: readonly Material[]): Material | undefined {
  const numbers = [...new Set(batch.flatMap((material) => material.numbers))].sort((left, right) => left - right)
  if (text.trim() === '' || /^\W*NOTHING\W*$/.test(text)) return undefined
  const { cited, text: renumbered } = checkCitations(text, Math.max(...numbers), false)
  // The check numbers citations anew; here they keep the numbers of their passages.
  const kept = renumbered.replace(/\[(\d+)\]/g, (_, at: string) => {
    const number = cited[Number(at) - 1]
    return number !== undefined && numbers.includes(number) ? `[${number}]` : ''
  })
  const own = cited.filter((number) => numbers.includes(number)).sort((left, right) => left - right)
  return { numbers: own.length > 0 ? own : numbers, text: own.length > 0 ? kept : `${kept} ${numbers.map((number) => `[${number}]`).join('')}`, about: 'noted down' }
}

function numbered(materials: readonly Material[]): string {
  const numbers = [...new Set(materials.flatMap((material) => material.numbers))].sort((left, right) => left - right)
  return numbers.length === 1 ? `passage ${numbers[0] ?? ''}` : `passages ${numbers.join(', ')}`
}
