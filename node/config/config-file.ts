/** One configuration file: found, parsed, and able to say on which line a setting stands. */
import { existsSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { MeshError } from '../../protocols/kernel/errors.ts'

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
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (thrown) {
    throw new MeshError('bad-request', `${path}: cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'check that the file exists and its permissions' })
  }
  // Most nodes have no such file, and need no parser for it.
  const { LineCounter, isNode, parseDocument } = await import('./yaml.ts')
  // JSON is a subset of YAML 1.2, so one parser serves both and knows the lines of both.
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, schema: path.endsWith('.json') ? 'json' : 'core' })
  const [error] = document.errors
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0])
    throw new MeshError('bad-request', `${path}:${line}:${col}: ${error.message}`, { next: `mend line ${line}, or move the file away to start with the defaults` })
  }
  const tree: unknown = document.toJS() ?? {}
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) {
    throw new MeshError('bad-request', `${path}:1: the configuration is not a map of settings`, { next: 'write settings as "name: value", one per line' })
  }
  return {
    path,
    tree: tree as Record<string, unknown>,
    lineOf(at) {
      for (let depth = at.length; depth > 0; depth--) {
        const node: unknown = document.getIn(at.slice(0, depth), true)
        if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
      }
      return 1
    },
  }
}
