/** What a node can be told, and what it does when it is told nothing. */
import { hostname, availableParallelism } from 'node:os'
import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import { Duty } from '../../protocols/capability/schema.ts'
import { Principal } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import { ProgramDeclaration } from '../skills/program/declaration.ts'
import { homeDirectory } from './home.ts'
import { Endpoints, ModelCacheSettings, ModelFile } from './model-settings.ts'

const Port = z.number().int().min(0).max(65_535)
const count = z.number().int().min(1)

export const ConfigSchema = z.object({
  name: z.string().min(1).max(64).regex(/^[A-Za-z0-9._-]+$/, 'may have letters, digits, dot, dash and underscore'),
  data: z.string().min(1),
  listen: z.object({ host: z.string().min(1), port: Port }).strict(),
  announce: z.array(z.string().startsWith('/', 'is not a multiaddress (like /ip4/192.0.2.7/tcp/4747)')),
  join: z.array(z.string().min(1)),
  mdns: z.boolean(),
  http: z.object({
    enabled: z.boolean(),
    host: z.string().min(1),
    port: Port,
    tokens: z.record(z.string().regex(/^[A-Za-z0-9._~+/=-]{16,512}$/), Principal),
  }).strict(),
  duties: z.array(Duty).min(1),
  slots: z.number().int().min(0).max(1_024),
  skills: z.array(z.string().min(1)),
  programs: z.array(ProgramDeclaration),
  watch: z.boolean(),
  models: z.array(ModelFile),
  endpoints: Endpoints,
  modelCache: ModelCacheSettings,
  roles: z.string(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error', 'silent']),
  onBattery: z.enum(['work', 'refuse']),
  limits: z.object({
    leaseMs: z.number().int().min(limits.pulseMs * 4),
    drainMs: z.number().int().min(0),
    bidWindowMs: z.number().int().min(1).max(limits.bidExpiryMs - 1),
    noProviderMs: z.number().int().min(0),
    missionsLiveMax: count,
    missionsLivePerPrincipalMax: count,
    managersPerNodeMax: count,
    blobsBytesMax: count,
    httpBodyBytesMax: count,
    httpUploadBytesMax: count,
  }).strict(),
  replication: z.object({
    groupPulseMs: count,
    electionMsMin: count,
    electionMsMax: count,
    memberSilentMs: z.number().int().min(1_000),
    membersLookMs: z.number().int().min(100),
    missionRestMs: z.number().int().min(0),
    archiveKeptMs: z.number().int().min(0),
    uncitedKeptMs: z.number().int().min(0),
    snapshotEntries: z.number().int().min(2),
    snapshotTailEntries: z.number().int().min(0),
  }).strict().superRefine((set, context) => {
    const wrong = (setting: keyof typeof set, message: string): void => context.addIssue({ code: 'custom', path: [setting], message })
    if (set.groupPulseMs * 4 > set.electionMsMin) wrong('electionMsMin', `must be at least 4 × replication.groupPulseMs (${set.groupPulseMs}): three lost pulses start no election`)
    if (set.electionMsMin >= set.electionMsMax) wrong('electionMsMax', `must be more than replication.electionMsMin (${set.electionMsMin})`)
    if (set.snapshotTailEntries >= set.snapshotEntries) wrong('snapshotTailEntries', `must be less than replication.snapshotEntries (${set.snapshotEntries})`)
  }),
}).strict()

export type Settings = z.infer<typeof ConfigSchema>

/** The settings with what follows from where they came from. */
export interface NodeConfig extends Settings {
  /** Whether somebody asked for these ports: a default that is taken moves to the next free one, a wish is an error. */
  readonly asked: { readonly listenPort: boolean; readonly httpPort: boolean }
  /** The folder that relative paths of programs start at: that of the file which declares them. */
  readonly programsFrom: string
}

/** One line about each setting, for `config show` and the reference. */
export const about: Readonly<Record<string, string>> = {
  name: 'what people call this node',
  data: 'folder for identity, mesh key, logs and blobs',
  'listen.host': 'address for other nodes',
  'listen.port': 'port for other nodes; 0 lets the system choose',
  announce: 'addresses to tell others instead of the ones found',
  join: 'invites or addresses of nodes to connect to',
  mdns: 'find nodes of the same mesh on the local network',
  'http.enabled': 'serve the HTTP bridge',
  'http.host': 'address of the HTTP bridge; beyond loopback a token is demanded',
  'http.port': 'port of the HTTP bridge; 0 lets the system choose',
  'http.tokens': 'who may talk to the bridge: token (16 to 512 letters, digits or ._~+/=-) → name of its holder',
  duties: 'what this node does: worker, replica, bridge',
  slots: 'tasks run at the same time',
  skills: 'skill files or packages to load',
  programs: 'programs offered as capabilities',
  watch: 'reload skills when their files change',
  models: 'GGUF files of language models to run here: paths, or { file, name, slots, contextTokens, gpu (auto, off), threads, does (chat, embed) }',
  endpoints: 'OpenAI-compatible endpoints to use: addresses, or { url, name, key or keyFrom (a variable), models, prices, slots, contextTokens }',
  'modelCache.chat.exact': 'give the answer to the same chat again, when it asks for no chance (temperature 0, or a seed)',
  'modelCache.chat.similar': 'and to one whose last question means the same: from this likeness on, like 0.95; 0 is never',
  'modelCache.embed.exact': 'give the vectors of the same texts again',
  'modelCache.bytesMax': 'memory for answers that are given again',
  roles: 'folder of YAML files with more roles for agents; one of a shipped name replaces it',
  logLevel: 'debug, info, warn, error or silent',
  onBattery: 'work or refuse while on battery',
  'replication.groupPulseMs': 'how often a leader says that it lives',
  'replication.electionMsMin': 'a member that hears nothing for this long asks for votes, at the earliest; the same on all nodes',
  'replication.electionMsMax': 'and at the latest',
  'replication.memberSilentMs': 'a member of a log that is silent for this long is replaced when there is a spare',
  'replication.membersLookMs': 'how often a leader looks for members to replace',
  'replication.missionRestMs': 'how long an ended mission rests before it becomes an archive',
  'replication.archiveKeptMs': 'how long archives are kept',
  'replication.uncitedKeptMs': 'content that nothing here cites is freed when it was not used for so long; earlier when its room is needed',
  'replication.snapshotEntries': 'so many entries become a snapshot',
  'replication.snapshotTailEntries': 'so many entries are kept behind a snapshot',
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
  /** Empty when there is none. */
  readonly home: string
  readonly hostname: string
  readonly cores: number
}

export function surroundingsOf(env: Readonly<Record<string, string | undefined>>): Surroundings {
  return { env, platform: process.platform, home: homeDirectory(), hostname: hostname(), cores: availableParallelism() }
}

/** The platform's user data directory: `XDG_DATA_HOME` or `~/.local/share`, on macOS `~/Library/Application Support`. Empty where neither is. */
export function defaultDataDir({ env, home, platform }: Surroundings): string {
  const xdg = env['XDG_DATA_HOME']
  if (platform !== 'darwin' && xdg?.startsWith('/') === true) return join(xdg, 'skein')
  if (!isAbsolute(home)) return ''
  return platform === 'darwin' ? join(home, 'Library', 'Application Support', 'skein') : join(home, '.local', 'share', 'skein')
}

export function defaultSettings(around: Surroundings): Settings {
  const name = (around.hostname.split('.')[0] ?? '').replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 64)
  return {
    name: name === '' ? 'node' : name,
    data: defaultDataDir(around),
    listen: { host: '0.0.0.0', port: 4747 },
    announce: [],
    join: [],
    mdns: true,
    http: { enabled: true, host: '127.0.0.1', port: 7420, tokens: {} },
    duties: ['worker', 'replica', 'bridge'],
    slots: around.cores,
    skills: [],
    programs: [],
    watch: false,
    models: [],
    endpoints: [],
    modelCache: { chat: { exact: false, similar: 0 }, embed: { exact: false }, bytesMax: limits.modelCacheBytes },
    roles: '',
    logLevel: 'info',
    onBattery: 'work',
    limits: {
      leaseMs: limits.leaseMs,
      drainMs: limits.drainMs,
      bidWindowMs: limits.bidWindowMs,
      noProviderMs: limits.noProviderMs,
      missionsLiveMax: limits.missionsLiveMax,
      missionsLivePerPrincipalMax: limits.missionsLivePerPrincipalMax,
      managersPerNodeMax: limits.managersPerNodeMax,
      blobsBytesMax: Number.MAX_SAFE_INTEGER,
      httpBodyBytesMax: limits.httpBodyBytesMax,
      httpUploadBytesMax: limits.httpUploadBytesMax,
    },
    replication: {
      groupPulseMs: limits.groupPulseMs,
      electionMsMin: limits.electionMsMin,
      electionMsMax: limits.electionMsMax,
      memberSilentMs: limits.memberSilentMs,
      membersLookMs: limits.membersLookMs,
      missionRestMs: limits.missionRestMs,
      archiveKeptMs: limits.archiveKeptMs,
      uncitedKeptMs: limits.uncitedKeptMs,
      snapshotEntries: limits.snapshotEntries,
      snapshotTailEntries: limits.snapshotTailEntries,
    },
  }
}
