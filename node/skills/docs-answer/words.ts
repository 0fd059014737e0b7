/** Text as the words that are looked for: lower case, without accents, stemmed. The same for questions and documents. */
import { stemmer } from 'stemmer'
import type { Term } from './schema.ts'
import { docsBounds } from './schema.ts'

/** Letters and digits; a number keeps its points (`3.14`, `1,000`), a contraction its tail (`don't`). */
const word = /[\p{L}\p{M}\p{N}]+(?:(?<=\p{N})[.,]\p{N}+)*(?:['’]\p{L}+)?/gu
/** Scripts that put no spaces between words: pairs of characters are looked for. */
const unspaced = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u
const accents = /[\u0300-\u036f]/g
const stemsKept = 50_000
const stems = new Map<string, string>()

/** Words that say nothing about what is asked, by language: articles, pronouns, prepositions, forms of to be, words that ask. Without accents. */
const unspecific = Object.values({
  english: `a about above after all also am an and any are aren as at be because been before being below between both but by can could couldn did didn do does doesn doing don down during each few for from
  further had hadn has hasn have haven having he her here hers him his how i if in into is isn it its just me more most my no nor not now of off on once only or other our out over own please same shall she
  should shouldn so some such tell than that the their them then there these they this those through to too under until up us very was wasn we were weren what when where which while who whom whose why will with
  won would wouldn you your`,
  german: `aber als am an auch auf aus bei bin bis bist da das dass dem den der des die dies diese dieser doch du durch ein eine einem einen einer eines er es fur hat hatte ich ihr im in ist ja kann kein keine man mein
  mit muss nach nicht noch nur oder ob sein sich sie sind so uber um und uns unser unter viel viele von vor wann warum was welche welchem welchen welcher welches wenn wer werden wie wieviel wird wo woher wohin zu zum zur`,
  french: `a au aux avec ce ces cette comment dans de des du elle en est et il ils j je l la le les leur lui ma mais me mes moi mon ne nos notre nous on ou par pas pour pourquoi qu quand que quel quelle quelles quels qui
  quoi sa se ses son sont sur ta te tes toi ton tu un une vos votre vous y`,
  spanish: `a al como con cual cuales cuando cuanto cuantos de del donde el ella ellos en es esta este esto la las lo los mas me mi no nos o para pero por porque que quien se si sin sobre son su sus te tu un una y ya`,
}).map((words) => new Set(words.split(/\s+/)))

/** A word as it is compared; the empty string for none. */
function plain(text: string): string {
  return text.normalize('NFKD').replace(accents, '').toLowerCase().replace(/['’].*$/u, '')
}

/** The empty string for what is no word. */
function stemOf(written: string): string {
  const known = stems.get(written)
  if (known !== undefined) return known
  const base = plain(written)
  const stem = (/^[a-z]{3,}$/.test(base) ? stemmer(base) : base).slice(0, 128)
  if (stems.size >= stemsKept) stems.clear()
  stems.set(written, stem)
  return stem
}

/** Every word of a text in order, as `say(stem, word as written)`. Of `fetchUrl` also its parts. */
export function eachWord(text: string, say: (stem: string, written: string) => void): void {
  // Soft hyphens are only advice on where a word may be divided.
  for (const [written] of text.replaceAll('\u00ad', '').matchAll(word)) {
    if (unspaced.test(written)) {
      const characters = [...written.normalize('NFKC')]
      if (characters.length === 1) say(characters[0] ?? '', written)
      for (let at = 0; at + 1 < characters.length; at++) say(`${characters[at] ?? ''}${characters[at + 1] ?? ''}`, written)
      continue
    }
    if (written.length > 128) continue
    const stem = stemOf(written)
    if (stem !== '') say(stem, written)
    const parts = /\p{Ll}\p{Lu}/u.test(written) ? written.split(/(?<=\p{Ll})(?=\p{Lu})/u) : []
    for (const part of parts) say(stemOf(part), part)
  }
}

export function stemsOf(text: string): string[] {
  const found: string[] = []
  eachWord(text, (stem) => found.push(stem))
  return found
}

/** What a question asks for: each different word once, in its order. A question of nothing but unspecific words keeps them. */
export function termsOf(question: string): Term[] {
  const all = new Map<string, Term>()
  const bases = new Map<string, string>()
  eachWord(question, (stem, written) => {
    if (all.has(stem)) return
    all.set(stem, { stem, word: written.slice(0, 256) })
    bases.set(stem, plain(written))
  })
  // One language's article is another one's noun: the list that knows most of the question is the one of its language.
  const known = unspecific.map((list) => ({ list, words: [...bases.values()].filter((base) => list.has(base)).length }))
  const best = known.reduce((left, right) => (right.words > left.words ? right : left))
  const specific = [...all.values()].filter((term) => !best.list.has(bases.get(term.stem) ?? ''))
  return (specific.length > 0 ? specific : [...all.values()]).slice(0, docsBounds.termsMax)
}
