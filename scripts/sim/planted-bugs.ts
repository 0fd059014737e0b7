/**
 * Bugs that are planted into the production code while it is loaded, to see whether the simulator's checkers find them:
 *
 *     SKEIN_PLANTED_BUG=told-before-committed node --import ./scripts/sim/planted-bugs.ts scripts/sim/hunt.ts …
 *
 * A bug is an exact text of a file and what stands there instead. Code that has moved on makes the run fail, so that no bug is
 * ever planted nowhere.
 */
import { registerHooks } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { plantedBugs, type SourceBug } from './bug-table.ts'
import { logBugs } from './log-bug-table.ts'

export const plantedVariable = 'SKEIN_PLANTED_BUG'
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** @returns the source with the bug in it. @throws Error when a text is not there exactly once. */
export function plant(bug: SourceBug, file: string, source: string): string {
  let planted = source
  for (const edit of bug.edits) {
    if (edit.file !== file) continue
    const found = planted.split(edit.find).length - 1
    if (found !== 1) throw new Error(`the bug ${bug.name} cannot be planted: ${file} has ${found} times the text it changes (${JSON.stringify(edit.find)}): bring its entry in scripts/sim up to date`)
    planted = planted.replace(edit.find, () => edit.replace)
  }
  return planted
}

/** From now on every module that a bug is about is loaded with it. @throws Error for an unknown name. */
export function plantWhileLoading(name: string): void {
  const bug = [...plantedBugs, ...logBugs].find((candidate) => candidate.name === name)
  if (bug === undefined) throw new Error(`${plantedVariable} names the bug "${name}", and there is none of that name in scripts/sim/bug-table.ts or log-bug-table.ts`)
  const fileOf = new Map(bug.edits.map(({ file }) => [pathToFileURL(join(root, file)).href, file]))
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      const file = fileOf.get(url)
      if (file === undefined) return loaded
      if (loaded.source === undefined || loaded.source === null) throw new Error(`the bug ${name} cannot be planted: ${file} was loaded without its source`)
      const text = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source)
      return { ...loaded, source: plant(bug, file, text) }
    },
  })
}

const wanted = process.env[plantedVariable]
if (wanted !== undefined && wanted !== '') plantWhileLoading(wanted)
