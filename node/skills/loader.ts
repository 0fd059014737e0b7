/** Finds skill files, packages and the built-in skills, and says what is in them. */
import { watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, extname, isAbsolute, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Fault } from '../../protocols/kernel/errors.ts'
import { MeshError, fault, toFault } from '../../protocols/kernel/errors.ts'
import { siblingModule } from '../source-or-bundle.ts'
import { packageSpecifier } from './module-hooks.ts'
import { skillKey } from './skill-module.ts'
import type { SkillDescription, SkillModule } from './skill-module.ts'
import { createThreadPool } from './thread-pool.ts'
import type { SkillThread, ThreadPool } from './thread-pool.ts'

const extensions = ['.ts', '.mts', '.js', '.mjs']
const describeMs = 30_000
const describeMemoryBytes = 1024 * 1024 * 1024
const debounceMs = 100

export interface LoadSkillsInit {
  /** As given with `--skill`: paths (`./my.skill.ts`) or package names (`@acme/skein-skills`). */
  readonly skills: readonly string[]
  /** Where relative paths and packages are looked up: the folder the node was started in. */
  readonly from: string
  /** The skills that come with Skein. Default true. */
  readonly builtIn?: boolean
}

/**
 * Imports every module in a thread of its own (no foreign code runs on the node's loop) and describes its skills; the built-in ones are described without.
 * @throws MeshError `bad-request`: file missing, not a module, no default export, not a skill, the same capability and version twice.
 */
export async function loadSkills(init: LoadSkillsInit): Promise<SkillModule[]> {
  const wanted = [...new Set(init.skills)]
  const pool = createThreadPool(0)
  const over = new AbortController()
  try {
    const modules = await Promise.all([
      ...(init.builtIn === false ? [] : [describeBuiltIn()]),
      ...wanted.map(async (name) => describeModule(pool, name, await locate(name, init.from), over.signal)),
    ])
    requireDistinct(modules)
    return modules
  } finally {
    // One that is broken is told at once: nobody waits for the others.
    over.abort()
    await pool.close()
  }
}

/** One file or package. @throws as `loadSkills`. */
export async function loadSkill(name: string, from: string): Promise<SkillModule> {
  const [module] = await loadSkills({ skills: [name], from, builtIn: false })
  if (module === undefined) throw new MeshError('internal', `${name} was not loaded`)
  return module
}

function isPath(name: string): boolean {
  return name.startsWith('.') || isAbsolute(name) || extensions.includes(extname(name))
}

/** @returns what to import. */
async function locate(name: string, from: string): Promise<string> {
  if (!isPath(name)) return packageSpecifier(name, from)
  const path = resolve(from, name)
  const about = await stat(path).catch(() => undefined)
  if (about === undefined) throw new MeshError('bad-request', `there is no skill file ${path}`, { next: 'check the path given with --skill; "skein skill new" makes a skill file' })
  if (!about.isFile()) throw new MeshError('bad-request', `${path} is not a file`, { next: 'give the file that exports the skill' })
  if (!extensions.includes(extname(path))) {
    throw new MeshError('bad-request', `${path} is not a JavaScript or TypeScript module`, { next: `name it with one of ${extensions.join(' ')}; for a program in another language declare it under "programs"` })
  }
  return pathToFileURL(path).href
}

function describeModule(pool: ThreadPool, origin: string, url: string, over: AbortSignal): Promise<SkillModule> {
  const { promise, resolve: found, reject } = Promise.withResolvers<SkillModule>()
  const failed = (why: string, next?: string): void => reject(new MeshError('bad-request', `the skill ${origin} cannot be loaded: ${why}`, next === undefined ? {} : { next }))
  const fix = 'correct the module; "skein skill test FILE" shows the same error'
  over.addEventListener('abort', () => failed('it was given up'), { once: true })
  let limit: NodeJS.Timeout | undefined
  let thread: SkillThread | undefined
  const giveUpWaiting = pool.acquire(describeMemoryBytes, {
    onMessage(message) {
      if (message.type !== 'described') return
      if (message.skills === undefined) failed(message.fault?.detail ?? 'it has no skills', message.fault?.next ?? fix)
      else found({ origin, url, skills: message.skills })
    },
    onEnd(end) {
      failed(end.type === 'crashed' ? end.message : 'it ended its thread while it was imported', fix)
    },
    onMemory: (bytes) => {
      if (bytes > describeMemoryBytes) failed('importing it used too much memory')
    },
  }, (given) => {
    thread = given
    limit = setTimeout(() => failed(`importing it took longer than ${describeMs / 1_000} s`, 'do no work while the module is imported, only in run()'), describeMs)
    given.post({ type: 'describe', url })
  })
  return promise.finally(() => {
    clearTimeout(limit)
    giveUpWaiting()
    return thread?.end()
  })
}

/** They are Skein's own, so what they say of themselves is said on the loop: a thread that loads all of their code costs each start more than the rest of the node. */
async function describeBuiltIn(): Promise<SkillModule> {
  const { builtInDescriptions } = await import('./built-in-descriptions.ts')
  return { origin: 'built-in', url: siblingModule(import.meta.url, './built-in').href, skills: builtInDescriptions() }
}

function requireDistinct(modules: readonly SkillModule[]): void {
  const owners = new Map<string, string>()
  for (const { origin, skills } of modules) {
    for (const { capability, version } of skills) {
      const key = skillKey(capability, version)
      const other = owners.get(key)
      if (other !== undefined) throw new MeshError('bad-request', `${key} is defined twice: by ${other} and by ${origin}`, { next: 'load only one of them, or give one another version' })
      owners.set(key, origin)
    }
  }
}

export interface SkillWatch {
  /** Called with the module's new state after an edit. */
  onReloaded(module: SkillModule, skills: readonly SkillDescription[]): void
  /** The edit is broken (or clashes with another skill): the old version stays. */
  onBroken(origin: string, why: Fault): void
}

/**
 * Watches a skill file and loads it again after it changed; what the file itself imports is not watched.
 * The folder is watched, since editors replace files. Packages and built-in skills are left alone.
 * @returns a function that ends it.
 */
export function watchSkill(module: SkillModule, from: string, watching: SkillWatch): () => void {
  if (module.origin === 'built-in' || !isPath(module.origin)) return () => undefined
  const path = resolve(from, module.origin)
  let timer: NodeJS.Timeout | undefined
  let ended = false
  let loads = 0

  async function reload(): Promise<void> {
    const load = ++loads
    try {
      const next = await loadSkill(module.origin, from)
      // A newer edit is being loaded: its outcome is the one that counts.
      if (!ended && load === loads) watching.onReloaded(next, next.skills)
    } catch (thrown) {
      if (!ended && load === loads) watching.onBroken(module.origin, toFault(thrown, 'bad-request'))
    }
  }

  const watcher = watch(dirname(path), { persistent: false }, (_event, name) => {
    if (name !== null && name !== basename(path)) return
    clearTimeout(timer)
    timer = setTimeout(() => void reload(), debounceMs)
  })
  watcher.on('error', (thrown) => watching.onBroken(module.origin, fault('internal', `the folder of ${path} can no longer be watched: ${thrown.message}`, { next: 'restart the node to reload its skills' })))
  return () => {
    ended = true
    clearTimeout(timer)
    watcher.close()
  }
}
