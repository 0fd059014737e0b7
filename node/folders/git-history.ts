/** The history of a folder from `git log`, bounded, with authors as mere numbers. */
import { folderLimits } from './schema.ts'
import type { FolderHistory } from './schema.ts'
import { runGit } from './git-command.ts'

const commitMark = '\u0001'

/** Folds the lines of `git log --numstat --format=%x01%ct%x09%aE`. Pure: the reading is apart from the parsing. */
export class HistoryParser {
  readonly #paths = new Map<string, number>()
  readonly #authors = new Map<string, number>()
  readonly #commits: FolderHistory['commits'] = []
  #changes = 0
  #rest = ''
  #truncated = false

  /** @returns false once the bounds are reached: the rest is not wanted. */
  push(text: string): boolean {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      if (!this.#line(line)) {
        this.#truncated = true
        this.#rest = ''
        return false
      }
    }
    return true
  }

  end(): FolderHistory {
    if (this.#rest !== '') this.#line(this.#rest)
    return { format: 'skein-history-1', paths: [...this.#paths.keys()], commits: this.#commits, authors: this.#authors.size, truncated: this.#truncated }
  }

  #line(line: string): boolean {
    if (line.startsWith(commitMark)) {
      if (this.#commits.length >= folderLimits.historyCommitsMax || this.#changes >= folderLimits.historyChangesMax) return false
      const [seconds, author] = line.slice(1).split('\t')
      this.#commits.push([Number(seconds ?? 0) || 0, numberOf(this.#authors, (author ?? '').toLowerCase()), []])
      return true
    }
    const commit = this.#commits.at(-1)
    const change = /^(\d+|-)\t(\d+|-)\t(.+)$/.exec(line)
    if (commit === undefined || change === null) return true
    // A merge of a vendored tree can touch a hundred thousand files; it says nothing about hot spots.
    if (this.#changes >= folderLimits.historyChangesMax) return true
    commit[2].push(numberOf(this.#paths, change[3] ?? ''), Number(change[1]) || 0, Number(change[2]) || 0)
    this.#changes++
    return true
  }
}

function numberOf(table: Map<string, number>, key: string): number {
  const known = table.get(key)
  if (known !== undefined) return known
  table.set(key, table.size)
  return table.size - 1
}

export interface GitFacts {
  readonly history: FolderHistory
  readonly commit?: string
  readonly branch?: string
  readonly shallow: boolean
}

/** @returns undefined when the folder has no commits of its own, or there is no git. */
export async function readHistory(path: string, signal?: AbortSignal): Promise<GitFacts | undefined> {
  const run = { cwd: path, timeoutMs: folderLimits.gitTimeoutMs, signal }
  const head = await runGit(['rev-parse', '--is-shallow-repository', 'HEAD', '--abbrev-ref', 'HEAD'], run)
  if (head === undefined || head.exitCode !== 0) return undefined
  const [shallow, commit, branch] = head.stdout.toString('utf8').trim().split('\n')
  const parser = new HistoryParser()
  const decoder = new TextDecoder()
  const log = await runGit(
    ['log', '--numstat', '--no-renames', '--relative', '--no-ext-diff', '--no-textconv', '--no-color', `--max-count=${folderLimits.historyCommitsMax + 1}`, `--format=${commitMark}%ct%x09%aE`, '--', '.'],
    { ...run, onOutput: (chunk) => parser.push(decoder.decode(chunk, { stream: true })) },
  )
  if (log === undefined || (log.exitCode !== 0 && !log.endedEarly)) return undefined
  const history = parser.end()
  if (history.commits.length === 0) return undefined
  return {
    history,
    ...(commit === undefined ? {} : { commit }),
    ...(branch === undefined || branch === 'HEAD' ? {} : { branch: branch.slice(0, 256) }),
    shallow: shallow === 'true',
  }
}
