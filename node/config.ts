/**
 * A node's configuration: flags > environment (`SKEIN_*`) > `skein.config.{yaml,json}` (working folder, then data
 * directory) > defaults, one schema, and for every setting the place it came from.
 *
 * @packageDocumentation
 */
import { dirname, isAbsolute, resolve } from 'node:path'
import { MeshError } from '../protocols/kernel/errors.ts'
import { type ConfigFile, findConfigFile, readConfigFile } from './config/config-file.ts'
import { modelVariables, shownKey, withEnvironment } from './config/model-settings.ts'
import { nearest } from './config/nearest.ts'
import { ConfigSchema, type NodeConfig, type Settings, type Surroundings, about, defaultSettings, surroundingsOf } from './config/schema.ts'

export type { NodeConfig } from './config/schema.ts'

/** `flag`, `environment`, `default`, or the path of a file. */
export type Origin = string

export interface LoadOptions {
  /** Settings by dotted path (`listen.port`): text as typed, or a value. Undefined is "not given". */
  readonly flags?: Readonly<Record<string, unknown>>
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** Reads this file instead of looking for one. */
  readonly file?: string
  /** For tests: the machine to take defaults from. */
  readonly around?: Surroundings
}

export interface LoadedConfig {
  readonly config: NodeConfig
  readonly origins: Readonly<Record<string, Origin>>
  /** Files that were read. */
  readonly files: readonly string[]
  /** `SKEIN_*` variables that are no setting, with the nearest one that is: worth a warning, not an error. */
  readonly ignored: readonly { readonly variable: string; readonly nearest?: string }[]
  /** What is wrong with the variables that name endpoints of models, which other programs use too: it matters to whoever starts a node. */
  readonly endpointProblem?: MeshError
}

/** Variables of the command line and of tests that are not settings of a node. */
const otherVariables = new Set<string>(['SKEIN_URL', 'SKEIN_TOKEN', 'SKEIN_CONFIG', 'SKEIN_QUIET', ...modelVariables])

/** Flags that are not named after their setting. */
const shortFlags: Readonly<Record<string, string>> = { models: '--model', endpoints: '--llm-url' }

/** Their values hold secrets: what cannot be read of them is not repeated. */
const secretSettings: ReadonlySet<string> = new Set(['http.tokens', 'endpoints'])

/**
 * Reads and merges every source.
 *
 * @throws MeshError `bad-request`: one error that names the source (file and line, flag or variable), what is wrong
 *   with it and what to do.
 */
export async function loadConfig(options: LoadOptions = {}): Promise<LoadedConfig> {
  const env = options.env ?? process.env
  const cwd = options.cwd ?? process.cwd()
  const around = options.around ?? surroundingsOf(env)
  const defaults = defaultSettings(around)
  const paths = leafPaths(defaults)
  const values = new Map<string, unknown>()
  const origins: Record<string, Origin> = {}
  const sources = new Map<Origin, ConfigFile>()
  const set = (path: string, value: unknown, origin: Origin, base: string): void => {
    values.set(path, located(path, value, base))
    origins[path] = origin
  }

  for (const path of paths) {
    values.set(path, valueAt(defaults, path))
    origins[path] = 'default'
  }

  const fromFlags = readTexts(options.flags ?? {}, paths, defaults, (path) => flagName(path))
  const fromEnv = readTexts(environmentSettings(env, paths), paths, defaults, (path) => variableName(path))
  const explicitFile = options.file ?? (env['SKEIN_CONFIG'] === '' ? undefined : env['SKEIN_CONFIG'])
  const nearFile = explicitFile === undefined ? await findConfigFile(cwd) : await readConfigFile(resolve(cwd, explicitFile))

  // Where the data directory is decides whether a second file counts, so it is settled first.
  const nearSettings = nearFile === undefined ? new Map<string, unknown>() : readTree(nearFile, paths, defaults)
  const dataDir = fromFlags.get('data') ?? fromEnv.get('data') ?? (nearFile === undefined ? undefined : located('data', nearSettings.get('data'), dirname(nearFile.path))) ?? defaults.data
  const farFolder = typeof dataDir === 'string' ? resolve(cwd, dataDir) : undefined
  const farFile = explicitFile !== undefined || farFolder === undefined || farFolder === resolve(cwd) ? undefined : await findConfigFile(farFolder)

  for (const [file, settings] of [[farFile, farFile === undefined ? undefined : readTree(farFile, paths, defaults)], [nearFile, nearSettings]] as const) {
    if (file === undefined || settings === undefined) continue
    sources.set(file.path, file)
    for (const [path, value] of settings) if (!(file === farFile && path === 'data')) set(path, value, file.path, dirname(file.path))
  }
  for (const [path, value] of fromEnv) set(path, value, 'environment', cwd)
  for (const [path, value] of fromFlags) set(path, value, 'flag', cwd)

  if (values.get('data') === '' && origins['data'] === 'default') throw new MeshError('bad-request', 'there is no home directory to keep data in', { next: 'say where they are kept: --data FOLDER, or SKEIN_DATA; or set HOME' })
  const parsed = ConfigSchema.safeParse(treeOf(values))
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const at = (issue?.path ?? []).map(String)
    throw settingError(at, issue?.message ?? 'is not valid', origins, sources)
  }
  let endpoints = parsed.data.endpoints
  let endpointProblem: MeshError | undefined
  try {
    endpoints = withEnvironment(endpoints, env, origins['endpoints'] === 'flag')
  } catch (thrown) {
    if (!(thrown instanceof MeshError)) throw thrown
    endpointProblem = thrown
  }
  if (endpoints.length > parsed.data.endpoints.length) origins['endpoints'] = parsed.data.endpoints.length === 0 ? 'environment' : `${origins['endpoints'] ?? 'default'} and environment`
  return {
    config: { ...parsed.data, endpoints, asked: { listenPort: origins['listen.port'] !== 'default', httpPort: origins['http.port'] !== 'default' }, programsFrom: sources.has(origins['programs'] ?? '') ? dirname(origins['programs'] ?? cwd) : resolve(cwd) },
    origins,
    files: [...sources.keys()],
    ignored: ignoredVariables(env, paths),
    ...(endpointProblem === undefined ? {} : { endpointProblem }),
  }
}

/** The dotted paths of all settings, in the schema's order. */
export function leafPaths(defaults: Settings): string[] {
  const paths: string[] = []
  const walk = (value: unknown, prefix: string): void => {
    if (isSection(value) && Object.keys(value).length > 0) for (const [key, inner] of Object.entries(value)) walk(inner, prefix === '' ? key : `${prefix}.${key}`)
    else paths.push(prefix)
  }
  walk(defaults, '')
  return paths
}

/** `limits.leaseMs` → `SKEIN_LIMITS_LEASE_MS`. */
export function variableName(path: string): string {
  return `SKEIN_${path.replace(/([a-z])([A-Z])/g, '$1_$2').replaceAll('.', '_').toUpperCase()}`
}

/** `listen.port` → `--listen-port`. */
export function flagName(path: string): string {
  return shortFlags[path] ?? `--${path.replace(/([a-z])([A-Z])/g, '$1-$2').replaceAll('.', '-').toLowerCase()}`
}

/** The value of a setting by its dotted path. */
export function valueAt(tree: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((inner, key) => (isSection(inner) ? inner[key] : undefined), tree)
}

/** What may be shown of a setting: secrets become the number of them, keys inside invites a mark. */
export function redacted(path: string, value: unknown): unknown {
  if (path === 'http.tokens' && isSection(value)) return Object.values(value).map((principal) => `${String(principal)}: (secret)`)
  if (path === 'join' && Array.isArray(value)) return value.map((entry: unknown) => (typeof entry === 'string' && entry.startsWith('/') ? entry : '(invite: secret)'))
  if (path === 'programs' && Array.isArray(value)) {
    return value.map((program: unknown) => (isSection(program) && isSection(program['env']) ? { ...program, env: Object.fromEntries(Object.keys(program['env']).map((key) => [key, '(secret)'])) } : program))
  }
  if (path === 'endpoints' && Array.isArray(value)) {
    return value.map((endpoint: unknown) => (isSection(endpoint) && typeof endpoint['key'] === 'string' ? { ...endpoint, key: shownKey(endpoint['key']) } : endpoint))
  }
  return value
}

/** One line about a setting; empty for one that its name explains. */
export function aboutSetting(path: string): string {
  return about[path] ?? ''
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function treeOf(values: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const tree: Record<string, unknown> = {}
  for (const [path, value] of values) {
    const keys = path.split('.')
    const last = keys.pop() ?? path
    let section = tree
    for (const key of keys) section = (section[key] ??= {}) as Record<string, unknown>
    section[last] = value
  }
  return tree
}

/** Paths of files are meant relative to the file or folder that named them. */
function located(path: string, value: unknown, base: string): unknown {
  if ((path === 'data' || (path === 'roles' && value !== '')) && typeof value === 'string') return resolve(base, value)
  if (path === 'skills' && Array.isArray(value)) {
    return value.map((entry: unknown) => (typeof entry === 'string' && (isAbsolute(entry) || /^\.{0,2}\/|\.[cm]?[jt]s$/.test(entry)) ? resolve(base, entry) : entry))
  }
  if (path === 'models' && Array.isArray(value)) {
    return value.map((entry: unknown) => (typeof entry === 'string' ? resolve(base, entry) : isSection(entry) && typeof entry['file'] === 'string' ? { ...entry, file: resolve(base, entry['file']) } : entry))
  }
  return value
}

function environmentSettings(env: Readonly<Record<string, string | undefined>>, paths: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(paths.map((path) => [path, env[variableName(path)]]))
}

function ignoredVariables(env: Readonly<Record<string, string | undefined>>, paths: readonly string[]): { variable: string; nearest?: string }[] {
  const known = paths.map(variableName)
  return Object.keys(env).filter((variable) => variable.startsWith('SKEIN_') && !known.includes(variable) && !otherVariables.has(variable)).map((variable) => {
    const close = nearest(variable, known)
    return close === undefined ? { variable } : { variable, nearest: close }
  })
}

/** Text becomes what the setting's default is made of; values that are no text are taken as they are. */
function readTexts(texts: Readonly<Record<string, unknown>>, paths: readonly string[], defaults: Settings, nameOf: (path: string) => string): Map<string, unknown> {
  const settings = new Map<string, unknown>()
  for (const [path, given] of Object.entries(texts)) {
    if (given === undefined) continue
    if (!paths.includes(path)) throw new MeshError('bad-request', `there is no setting ${path}`, { next: hint(path, paths) })
    settings.set(path, typeof given === 'string' ? fromText(given, valueAt(defaults, path), nameOf(path), secretSettings.has(path)) : given)
  }
  return settings
}

function fromText(text: string, like: unknown, name: string, isSecret: boolean): unknown {
  if (typeof like === 'number') {
    const number = Number(text)
    if (text.trim() === '' || !Number.isFinite(number)) throw new MeshError('bad-request', `${name} is "${text}", which is not a number`, { next: `give a number to ${name}` })
    return number
  }
  if (typeof like === 'boolean') {
    if (/^(true|1|yes|on)$/i.test(text)) return true
    if (/^(false|0|no|off)$/i.test(text)) return false
    throw new MeshError('bad-request', `${name} is "${text}", which is neither true nor false`, { next: `set ${name} to true or false` })
  }
  if (typeof like === 'object' && (/^\s*[[{]/.test(text) || !Array.isArray(like))) {
    try {
      return JSON.parse(text) as unknown
    } catch (thrown) {
      throw new MeshError('bad-request', `${name} is not JSON${isSecret ? '' : `: ${thrown instanceof Error ? thrown.message : String(thrown)}`}`, { next: `give ${name} as ${Array.isArray(like) ? 'a comma-separated list or a JSON array' : 'a JSON object'}` })
    }
  }
  if (Array.isArray(like)) return text.split(',').map((entry) => entry.trim()).filter((entry) => entry !== '')
  return text
}

function readTree(file: ConfigFile, paths: readonly string[], defaults: Settings): Map<string, unknown> {
  const settings = new Map<string, unknown>()
  const walk = (section: Readonly<Record<string, unknown>>, prefix: readonly string[]): void => {
    for (const [key, value] of Object.entries(section)) {
      const at = [...prefix, key]
      const path = at.join('.')
      if (value === null) continue
      if (paths.includes(path)) settings.set(path, value)
      else if (!paths.some((known) => known.startsWith(`${path}.`))) {
        throw new MeshError('bad-request', `${file.path}:${file.lineOf(at)}: there is no setting ${path}`, { next: hint(path, paths) })
      } else if (isSection(value)) walk(value, at)
      else {
        const inside = Object.keys(valueAt(defaults, path) as object).join(', ')
        throw new MeshError('bad-request', `${file.path}:${file.lineOf(at)}: ${path} is a section (with ${inside}), not a value`, { next: `indent its settings below "${key}:"` })
      }
    }
  }
  walk(file.tree, [])
  return settings
}

function hint(path: string, paths: readonly string[]): string {
  const close = nearest(path, paths) ?? paths.find((known) => known.endsWith(`.${path}`))
  return close === undefined ? 'remove it; "skein config show" lists every setting' : `did you mean ${close}? "skein config show" lists every setting`
}

function settingError(at: readonly string[], message: string, origins: Readonly<Record<string, Origin>>, sources: ReadonlyMap<Origin, ConfigFile>): MeshError {
  const setting = Object.keys(origins).find((path) => at.join('.') === path || at.join('.').startsWith(`${path}.`)) ?? at.join('.')
  const origin = origins[setting] ?? 'default'
  const file = sources.get(origin)
  // Below this setting the keys are secrets.
  const shown = setting === 'http.tokens' ? setting : at.join('.')
  const where = file !== undefined ? `${file.path}:${file.lineOf(at)}: ${shown}` : origin === 'flag' ? `${flagName(setting)}` : origin === 'environment' ? variableName(setting) : shown
  const explained = aboutSetting(setting)
  return new MeshError('bad-request', `${where}: ${message}`, { next: explained === '' ? `mend ${setting}` : `${setting} is: ${explained}` })
}
