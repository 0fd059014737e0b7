/** Puts together what the parts have found. */
import type { FolderManifest } from '../../folders/schema.ts'
import type { SkillChild } from '../define-skill.ts'
import { MeshError } from '../define-skill.ts'
import { chooseCandidates } from './rank.ts'
import type { Corpus } from './rank.ts'
import { SearchOutput, docsBounds } from './schema.ts'
import type { Passage, Problem, Term } from './schema.ts'

export interface Found {
  readonly corpus: Corpus
  readonly candidates: readonly Passage[]
  readonly documents: number
  /** What was not searched, for the answer's notes. */
  readonly notes: readonly string[]
}

const namesShown = 3

/** @throws MeshError `skill-failed` when no part could be searched. */
export function gatherFound(children: readonly SkillChild[], manifest: FolderManifest, terms: readonly Term[]): Found {
  const parts: SearchOutput[] = []
  const missing: string[] = []
  for (const child of children) {
    if (child.state === 'accepted' && child.output !== undefined) parts.push(checked(child, terms))
    else missing.push(`${child.name} of the folder was not searched: ${(child.fault?.detail ?? `it was ${child.state}`).slice(0, 300)}`)
  }
  if (parts.length === 0) throw new MeshError('skill-failed', `no part of the folder could be searched: ${missing[0] ?? 'there was none'}`, { next: 'see skein mission why, then retry the mission', retryable: false })
  const sum = (pick: (part: SearchOutput) => number): number => parts.reduce((total, part) => total + pick(part), 0)
  return {
    corpus: { passages: sum((part) => part.passages), words: sum((part) => part.words), documentFrequencies: terms.map((_, term) => sum((part) => part.documentFrequencies[term] ?? 0)) },
    candidates: chooseCandidates(parts.flatMap((part) => part.candidates), terms.length),
    documents: sum((part) => part.documents),
    notes: [
      ...missing,
      ...problemNotes(parts.flatMap((part) => part.problems), sum((part) => part.problemsTotal)),
      ...folderNotes(manifest),
      ...new Set(parts.flatMap((part) => part.notes)),
    ].slice(0, docsBounds.notesMax - 20),
  }
}

function checked(child: SkillChild, terms: readonly Term[]): SearchOutput {
  const parsed = SearchOutput.safeParse(child.output)
  const fits = parsed.success && parsed.data.documentFrequencies.length === terms.length && parsed.data.candidates.every((passage) => passage.counts.length === terms.length)
  if (!fits) throw new MeshError('skill-failed', `the result of ${child.name} is not one of ${child.capability}`, { next: 'run the same release of Skein on all nodes', retryable: false })
  return parsed.data
}

/** One note for each reason, with the first few names. */
function problemNotes(problems: readonly Problem[], total: number): string[] {
  const byReason = new Map<string, string[]>()
  for (const { path, reason } of problems) byReason.set(reason, [...(byReason.get(reason) ?? []), path])
  const notes = [...byReason].map(([reason, paths]) => `${named([...paths].sort())}: ${reason}`).sort()
  if (total > problems.length) notes.push(`${total - problems.length} more documents were not read, or not wholly`)
  return notes
}

function folderNotes(manifest: FolderManifest): string[] {
  const notes: string[] = []
  const ignored = manifest.skipped.filter((note) => note.reason.includes('ignored')).length
  if (ignored > 0) notes.push(`${ignored} ${ignored === 1 ? 'entry that git ignores was' : 'entries that git ignores were'} left out`)
  if (manifest.unreadable.length > 0) notes.push(`${named(manifest.unreadable.map((note) => note.path))}: could not be packed (${manifest.unreadable[0]?.reason ?? ''})`)
  if (manifest.links.length > 0) notes.push(`${manifest.links.length} ${manifest.links.length === 1 ? 'link was' : 'links were'} not followed`)
  return notes
}

function named(paths: readonly string[]): string {
  const shown = paths.slice(0, namesShown).join(', ')
  return paths.length > namesShown ? `${shown} and ${paths.length - namesShown} more` : shown
}
