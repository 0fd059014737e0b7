/** A YAML or JSON file that a person has written: read, parsed, and able to say on which line a value stands. */
import { readFileSync } from 'node:fs'
import { MeshError } from '../../protocols/kernel/errors.ts'

export interface YamlFile {
  /** What it says; null when it is empty. */
  readonly value: unknown
  /** 1-based line of a value, or of its nearest parent that is there. */
  lineOf(path: readonly PropertyKey[]): number
}

/**
 * @param orElse what else its reader may do but mend it.
 * @throws MeshError `bad-request` that names the file, and the line of what is wrong.
 */
export async function readYamlFile(path: string, orElse = ''): Promise<YamlFile> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (thrown) {
    throw new MeshError('bad-request', `${path}: cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'check that the file exists and its permissions' })
  }
  // Most who start need no parser.
  const { LineCounter, isNode, parseDocument } = await import('./yaml.ts')
  // JSON is a subset of YAML 1.2, so one parser serves both and knows the lines of both.
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, schema: path.endsWith('.json') ? 'json' : 'core' })
  const [error] = document.errors
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0])
    throw new MeshError('bad-request', `${path}:${line}:${col}: ${error.message}`, { next: `mend line ${line}${orElse}` })
  }
  let value: unknown
  try {
    value = document.toJS()
  } catch (thrown) {
    // An alias of nothing, or of too much: what begins with * is one unless it stands in quotes.
    throw new MeshError('bad-request', `${path}: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: `put values that begin with * into quotes${orElse}` })
  }
  return {
    value,
    lineOf(at) {
      for (let depth = at.length; depth > 0; depth--) {
        const node: unknown = document.getIn(at.slice(0, depth), true)
        if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
      }
      return 1
    },
  }
}
