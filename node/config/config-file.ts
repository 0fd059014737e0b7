/** One configuration file: found, parsed, and able to say on which line a setting stands. */
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { readYamlFile } from './yaml-file.ts'

export interface ConfigFile {
  readonly path: string
  readonly tree: Readonly<Record<string, unknown>>
  /** 1-based line of a dotted path, or of its nearest parent that is there. */
  lineOf(path: readonly string[]): number
}

const fileNames = ['skein.config.yaml', 'skein.config.yml', 'skein.config.json'] as const

/**
 * @returns the folder's configuration file, or undefined when it has none.
 * @throws MeshError `bad-request` when there are two, or when it cannot be read or parsed.
 */
export async function findConfigFile(folder: string): Promise<ConfigFile | undefined> {
  const found = fileNames.map((name) => join(folder, name)).filter((path) => existsSync(path))
  const [first, second] = found
  if (first === undefined) return undefined
  if (second !== undefined) {
    throw new MeshError('bad-request', `${folder} has both ${basename(first)} and ${basename(second)}`, { next: 'keep one of them' })
  }
  return await readConfigFile(first)
}

/** @throws MeshError `bad-request`, naming the file and the line. */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const file = await readYamlFile(path, ', or move the file away to start with the defaults')
  const tree = file.value ?? {}
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) {
    throw new MeshError('bad-request', `${path}:1: the configuration is not a map of settings`, { next: 'write settings as "name: value", one per line' })
  }
  return { path, tree: tree as Record<string, unknown>, lineOf: file.lineOf }
}
