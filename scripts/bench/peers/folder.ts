/**
 * The peers' own folder: their packages at pinned versions, and Debian's servers unpacked beside them. None of it is a dependency of
 * Skein, nothing is installed on the system, and what cannot be had is said in a sentence.
 */
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface PeerVersions {
  /** Packages of the npm registry, each with its exact version. */
  readonly npm: Readonly<Record<string, string>>
  /** Debian's servers, each with the packages that it needs and that a small system may lack. */
  readonly debian: Readonly<Record<string, readonly string[]>>
}

export const peerVersions = JSON.parse(readFileSync(join(import.meta.dirname, 'versions.json'), 'utf8')) as PeerVersions

export function defaultPeersFolder(env: NodeJS.ProcessEnv = process.env): string {
  return join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'skein', 'bench-peers')
}

/** @returns why the packages cannot be had; undefined when they are there. */
export async function installPackages(folder: string, say: (text: string) => void): Promise<string | undefined> {
  const wanted = JSON.stringify(peerVersions.npm)
  const mark = join(folder, 'installed.json')
  if (existsSync(mark) && readFileSync(mark, 'utf8') === wanted) return undefined
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, description: 'what Skein is measured beside' }))
  say(`installing the peers' packages into ${folder}`)
  try {
    const names = Object.entries(peerVersions.npm).map(([name, version]) => `${name}@${version}`)
    // No script of theirs runs: those that have native parts ship them built.
    await run('npm', ['install', '--save-exact', '--ignore-scripts', '--no-audit', '--no-fund', ...names], { cwd: folder, maxBuffer: 2 ** 26 })
  } catch (thrown) {
    return `the peers' packages could not be installed into ${folder} by npm (${firstLine(thrown)}); try again, or name another folder with --peers`
  }
  writeFileSync(mark, wanted)
  return undefined
}

/** Loads a package of the folder. */
export function requireFrom(folder: string): <Module>(name: string) => Module {
  const require = createRequire(join(resolve(folder), 'package.json'))
  return <Module>(name: string) => require(name) as Module
}

export interface ServerProgram {
  readonly path: string
  readonly version: string
  readonly env: NodeJS.ProcessEnv
}

/** A server of the system, or Debian's, downloaded by apt-get and unpacked into the folder. @returns why there is none. */
export async function serverProgram(folder: string, name: string, say: (text: string) => void): Promise<ServerProgram | string> {
  const onPath = await versionOf({ path: name, version: '', env: process.env })
  if (onPath !== undefined) return onPath
  const root = join(resolve(folder), 'debian', name)
  if (!existsSync(root)) {
    const refused = await unpackDebian(root, name, say)
    if (refused !== undefined) return refused
  }
  const path = [join(root, 'usr', 'bin', name), join(root, 'usr', 'sbin', name)].find(existsSync)
  if (path === undefined) return `Debian's package ${name} has no program of this name`
  const libraries = join(root, 'usr', 'lib')
  const folders = existsSync(libraries) ? readdirSync(libraries).map((triplet) => join(libraries, triplet)) : []
  const program = { path, version: '', env: { ...process.env, LD_LIBRARY_PATH: [...folders, process.env['LD_LIBRARY_PATH'] ?? ''].filter((part) => part !== '').join(delimiter) } }
  return await versionOf(program) ?? `Debian's ${name} does not start on this system`
}

async function unpackDebian(root: string, name: string, say: (text: string) => void): Promise<string | undefined> {
  const packages = peerVersions.debian[name] ?? []
  const downloads = `${root}-downloading`
  rmSync(downloads, { recursive: true, force: true })
  mkdirSync(join(downloads, 'root'), { recursive: true })
  say(`fetching Debian's ${name}`)
  try {
    try {
      await run('apt-get', ['download', ...packages], { cwd: downloads })
    } catch {
      // The lists of a fresh machine are empty or old; only root may fetch them.
      if (process.getuid?.() === 0) await run('apt-get', ['update', '-qq'])
      await run('apt-get', ['download', ...packages], { cwd: downloads })
    }
    for (const file of readdirSync(downloads).filter((file) => file.endsWith('.deb'))) await run('dpkg', ['-x', join(downloads, file), join(downloads, 'root')])
    renameSync(join(downloads, 'root'), root)
    return undefined
  } catch (thrown) {
    return `${name} is not installed and could not be fetched by apt-get (${firstLine(thrown)})`
  } finally {
    rmSync(downloads, { recursive: true, force: true })
  }
}

async function versionOf(program: ServerProgram): Promise<ServerProgram | undefined> {
  try {
    const { stdout } = await run(program.path, ['--version'], { env: program.env })
    return { ...program, version: /v=?(\d+(?:\.\d+)+)/.exec(stdout)?.[1] ?? stdout.trim() }
  } catch {
    return undefined
  }
}

function firstLine(thrown: unknown): string {
  const said = thrown instanceof Error && 'stderr' in thrown && typeof thrown.stderr === 'string' && thrown.stderr.trim() !== '' ? thrown.stderr : String(thrown)
  return said.trim().split('\n').find((line) => !line.startsWith('npm warn')) ?? 'without a word'
}
