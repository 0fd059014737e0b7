/** Who changed what how often: totals over time, and the files where change and size meet. Pure. */
import type { FolderHistory } from '../../folders/schema.ts'
import { looksGenerated } from './measure/file-text.ts'
import type { HistoryReport } from './schema.ts'

const DAY_SECONDS = 86_400

interface PathChurn {
  commits: number
  added: number
  deleted: number
  authors: Set<number>
}

/** @param sizes bytes of the files that exist now: what is gone cannot be a hot spot. @param pulse called as the work goes on. */
export function measureHistory(history: FolderHistory, sizes: ReadonlyMap<string, number>, topN: number, pulse: (fraction: number) => void = () => undefined): HistoryReport {
  const byAuthor = new Map<number, number>()
  const days = new Set<number>()
  const months = new Map<string, { commits: number; added: number; deleted: number }>()
  const churn = new Map<number, PathChurn>()
  let first = Infinity
  let last = -Infinity
  for (const [index, [seconds, author, changes]] of history.commits.entries()) {
    if (index % 100 === 0) pulse(index / history.commits.length)
    first = Math.min(first, seconds)
    last = Math.max(last, seconds)
    byAuthor.set(author, (byAuthor.get(author) ?? 0) + 1)
    days.add(Math.floor(seconds / DAY_SECONDS))
    const key = monthOf(seconds)
    const month = months.get(key) ?? { commits: 0, added: 0, deleted: 0 }
    months.set(key, month)
    month.commits++
    for (let i = 0; i + 2 < changes.length; i += 3) {
      const path = changes[i] ?? 0
      const entry = churn.get(path) ?? { commits: 0, added: 0, deleted: 0, authors: new Set<number>() }
      churn.set(path, entry)
      entry.commits++
      entry.added += changes[i + 1] ?? 0
      entry.deleted += changes[i + 2] ?? 0
      entry.authors.add(author)
      month.added += changes[i + 1] ?? 0
      month.deleted += changes[i + 2] ?? 0
    }
  }
  const commitsByAuthor = [...byAuthor.values()].sort((left, right) => right - left)
  return {
    commits: history.commits.length,
    truncated: history.truncated,
    authors: byAuthor.size,
    busFactor: busFactorOf(commitsByAuthor, history.commits.length),
    commitsByAuthor: commitsByAuthor.slice(0, 20),
    firstCommitMs: Number.isFinite(first) ? first * 1_000 : null,
    lastCommitMs: Number.isFinite(last) ? last * 1_000 : null,
    activeDays: days.size,
    months: [...months].sort(([left], [right]) => (left < right ? -1 : 1)).slice(-240).map(([month, counts]) => ({ month, ...counts })),
    hotspots: hotspotsOf(history, churn, sizes, topN),
  }
}

function monthOf(seconds: number): string {
  const at = new Date(Math.max(0, Math.min(seconds, 253_402_300_799)) * 1_000)
  return at.toISOString().slice(0, 7)
}

/** The fewest authors who together made half of the commits. */
function busFactorOf(sorted: readonly number[], commits: number): number {
  let sum = 0
  for (const [index, count] of sorted.entries()) {
    sum += count
    if (sum * 2 >= commits) return index + 1
  }
  return sorted.length
}

/** Change frequency times size, as Tornhill ranks them ("Your Code as a Crime Scene", 2015). */
function hotspotsOf(history: FolderHistory, churn: ReadonlyMap<number, PathChurn>, sizes: ReadonlyMap<string, number>, topN: number): HistoryReport['hotspots'] {
  const found: HistoryReport['hotspots'] = []
  for (const [index, entry] of churn) {
    const path = history.paths[index] ?? ''
    const sizeBytes = sizes.get(path)
    if (sizeBytes === undefined || entry.commits < 2 || looksGenerated(path, '')) continue
    found.push({ path, commits: entry.commits, added: entry.added, deleted: entry.deleted, authors: entry.authors.size, sizeBytes, score: Math.round((entry.commits * sizeBytes) / 1_024) })
  }
  return found.sort((left, right) => right.score - left.score || right.commits - left.commits || (left.path < right.path ? -1 : 1)).slice(0, topN)
}
