/** Scenarios and their traces, found, read and checked. SCENARIO is the name of one that Skein ships, or a path. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { LineCounter, isNode, parseDocument } from 'yaml'
import type { z } from 'zod'
import { nearest } from '../../node/config/nearest.ts'
import { siblingFolder } from '../../node/source-or-bundle.ts'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { type ScenarioProblem, scenarioProblems } from '../../sim/scenario/check.ts'
import { expandNodes } from '../../sim/scenario/expand.ts'
import { seededRandom } from '../../protocols/kernel/prng.ts'
import { Scenario } from '../../sim/scenario/schema.ts'
import { planArrivals } from '../../sim/workload/arrivals.ts'

export interface LoadedScenario {
  readonly scenario: Scenario
  readonly traces: ReadonlyMap<string, string>
  /** How it was asked for: with this word `skein sim` finds it again. */
  readonly given: string
  readonly path: string
  readonly isShipped: boolean
  /** Where each trace was found. */
  readonly tracePaths: ReadonlyMap<string, string>
}

export const shippedFolder = fileURLToPath(siblingFolder(import.meta.url, '../../sim/scenarios'))
const suffix = /\.(ya?ml|json)$/i

/** @returns the names of the scenarios that come with Skein, sorted. */
export function shippedNames(folder = shippedFolder): string[] {
  try {
    return readdirSync(folder).filter((name) => suffix.test(name)).map((name) => name.replace(suffix, '')).sort()
  } catch {
    return []
  }
}

/**
 * @param given a shipped scenario's name, or a path to a YAML or JSON file, relative to `cwd`
 * @throws MeshError `bad-request`, with file, line and path of what is wrong
 */
export function loadScenario(given: string, cwd: string, folder = shippedFolder): LoadedScenario {
  const { path, isShipped } = locate(given, cwd, folder)
  const scenario = parseScenario(readText(path, 'scenario'), path)
  const tracePaths = new Map<string, string>()
  const traces = new Map<string, string>()
  for (const work of scenario.workload) {
    if (work.kind !== 'trace' || traces.has(work.file)) continue
    const found = locateTrace(work.file, path, cwd)
    tracePaths.set(work.file, found.path)
    traces.set(work.file, found.text)
  }
  try {
    // Up to the first instant: nothing is drawn, but traces are read and bridges looked for, once and not in every run of a sweep.
    planArrivals(scenario, expandNodes(scenario, seededRandom([1, 1])), seededRandom([1, 1]), traces, 0)
  } catch (thrown) {
    throw new MeshError('bad-request', `${path}: ${messageOf(thrown)}`, { next: 'mend it and run again' })
  }
  return { scenario, traces, given, path, isShipped, tracePaths }
}

/** @throws MeshError `bad-request` that names line and path. */
export function parseScenario(text: string, path: string): Scenario {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, schema: path.endsWith('.json') ? 'json' : 'core' })
  const [error] = document.errors
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0])
    throw new MeshError('bad-request', `${path}:${line}:${col}: ${error.message}`, { next: `mend line ${line}` })
  }
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: 100 })
  } catch (thrown) {
    throw new MeshError('bad-request', `${path}: ${messageOf(thrown)}`, { next: 'write the values out instead of repeating them by alias' })
  }
  const parsed = Scenario.safeParse(value)
  if (!parsed.success) throw isReport(value) ? reportGiven(value, path) : wrongAt(parsed.error.issues.map(plainIssue))
  let problems: readonly ScenarioProblem[]
  try {
    problems = scenarioProblems(parsed.data, expandNodes(parsed.data, seededRandom([1, 1])))
  } catch (thrown) {
    throw new MeshError('bad-request', `${path}: ${messageOf(thrown)}`, { next: 'mend it and run again' })
  }
  if (problems.length > 0) throw wrongAt(problems)
  return parsed.data

  function wrongAt(wrong: readonly { readonly at: readonly PropertyKey[]; readonly message: string }[]): MeshError {
    const told = wrong.slice(0, 5).map(({ at, message }) => {
      const line = lineOf(at)
      return `${path}:${line}: ${at.length === 0 ? 'the scenario' : pathText(at)}: ${message}`
    })
    const more = wrong.length > told.length ? `\n… and ${wrong.length - told.length} more` : ''
    return new MeshError('bad-request', told.join('\n') + more, { next: `mend ${wrong.length === 1 ? 'it' : 'them'} and run again; "skein sim list" shows where scenarios to copy from are` })
  }

  function lineOf(at: readonly PropertyKey[]): number {
    for (let depth = at.length; depth > 0; depth--) {
      const node: unknown = document.getIn(at.slice(0, depth), true)
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
    }
    return 1
  }
}

/** What `sim run` writes beside a page is easily given back to it. */
function isReport(value: unknown): value is { readonly scenario: string; readonly seed?: unknown } {
  return typeof value === 'object' && value !== null && 'traceHash' in value && 'scenario' in value && typeof value.scenario === 'string'
}

function reportGiven({ scenario, seed }: { readonly scenario: string; readonly seed?: unknown }, path: string): MeshError {
  return new MeshError('bad-request', `${path} is the report of a run, not a scenario`, { next: `run the scenario itself (${scenario}${typeof seed === 'number' ? `, seed ${seed}` : ''}), or give two reports to "skein sim compare"` })
}

/** Of a value that may have several forms, the complaint of the form that it came closest to. */
function plainIssue(issue: z.core.$ZodIssue): { at: readonly PropertyKey[]; message: string } {
  if (issue.code === 'unrecognized_keys') return { at: [...issue.path, issue.keys[0] ?? ''], message: 'there is no such setting' }
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return { at: issue.path, message: issue.message.replace(/^Invalid input: /, '') }
  const forms = issue.errors.filter((form) => !form.some((inner) => inner.code === 'unrecognized_keys'))
  const [closest] = forms.flat().sort((a, b) => b.path.length - a.path.length)
  if (closest !== undefined && closest.path.length > 0) {
    const { at, message } = plainIssue(closest)
    return { at: [...issue.path, ...at], message }
  }
  return { at: issue.path, message: 'is none of the forms that it may have: a number, or one of those that sim/scenario/schema.ts lists (uniform, exponential, lognormal)' }
}

function pathText(at: readonly PropertyKey[]): string {
  return at.reduce<string>((text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? String(key) : `${text}.${String(key)}`), '')
}

function locate(given: string, cwd: string, folder: string): { path: string; isShipped: boolean } {
  if (suffix.test(given) || given.includes('/') || given.includes('\\')) {
    const path = resolve(cwd, given)
    const name = basename(given).replace(suffix, '')
    if (!existsSync(path) && shippedNames(folder).includes(name)) throw new MeshError('bad-request', `there is no file at ${path}`, { next: `did you mean ${name}, which Skein has? Give its name alone, without a path or .yaml` })
    return { path, isShipped: false }
  }
  for (const ending of ['yaml', 'yml', 'json']) {
    const name = `${given}.${ending}`
    if (safeList(folder).includes(name)) return { path: join(folder, name), isShipped: true }
  }
  const names = shippedNames(folder)
  const close = nearest(given, names) ?? names.find((name) => name.includes(given))
  throw new MeshError('bad-request', `there is no scenario "${given}"`, {
    next: `${close === undefined ? '' : `did you mean ${close}? `}"skein sim list" shows those that Skein has; a scenario of your own is given by its path (./${given}.yaml)`,
  })
}

function locateTrace(file: string, scenarioPath: string, cwd: string): { path: string; text: string } {
  const beside = dirname(scenarioPath)
  const places = [...new Set([join(beside, 'traces', file), resolve(beside, file), resolve(cwd, file)])]
  for (const path of places) {
    const bytes = readIfThere(path)
    if (bytes === undefined) continue
    try {
      return { path, text: (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8') }
    } catch (thrown) {
      throw new MeshError('bad-request', `the trace ${path} cannot be unpacked: ${messageOf(thrown)}`, { next: 'fetch it again' })
    }
  }
  throw new MeshError('bad-request', `${scenarioPath} needs the trace "${file}", which is not there`, { next: `put it at one of ${places.join(', ')}` })
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT' || codeOf(thrown) === 'ENOTDIR') return undefined
    throw new MeshError('bad-request', `the trace ${path} cannot be read: ${messageOf(thrown)}`, { next: 'check that it is a file, and its permissions' })
  }
}

/** @param what for the error: `scenario`, `report` @throws MeshError `bad-request` */
export function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (thrown) {
    const missing = codeOf(thrown) === 'ENOENT'
    const next = missing && what === 'scenario' ? 'check the path; "skein sim list" shows the scenarios that Skein has' : 'check the path and its permissions'
    throw new MeshError('bad-request', missing ? `there is no file at ${path}` : `the ${what} ${path} cannot be read: ${messageOf(thrown)}`, { next })
  }
}

function safeList(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
}

/** Whether this program runs from a clone, where tests can be written to. @returns the clone's root. */
export function cloneRoot(): string | undefined {
  const root = dirname(dirname(resolve(shippedFolder)))
  return basename(dirname(resolve(shippedFolder))) === 'sim' && import.meta.url.endsWith('.ts') ? root : undefined
}
