/** One role's YAML file: read, parsed and checked, with the line of whatever is wrong. */
import { readFileSync } from 'node:fs'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { type RoleProfile, RoleFile, profileOf } from './schema.ts'

/** @throws MeshError `bad-request` that names file, line and field. */
export async function readRoleFile(path: string): Promise<RoleProfile> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (thrown) {
    throw new MeshError('bad-request', `${path}: cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'check that the file exists and its permissions' })
  }
  // Most commands need no parser.
  const { LineCounter, isNode, parseDocument } = await import('../config/yaml.ts')
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const [error] = document.errors
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0])
    throw new MeshError('bad-request', `${path}:${line}:${col}: ${error.message}`, { next: `mend line ${line}` })
  }
  const lineOf = (at: readonly PropertyKey[]): number => {
    for (let depth = at.length; depth > 0; depth--) {
      const node: unknown = document.getIn(at.slice(0, depth), true)
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
    }
    return 1
  }
  const checked = RoleFile.safeParse(document.toJS())
  if (checked.success) return profileOf(checked.data)
  const [issue] = checked.error.issues
  const at = issue?.code === 'unrecognized_keys' ? [...issue.path, ...issue.keys.slice(0, 1)] : (issue?.path ?? [])
  const field = at.map(String).join('.')
  throw new MeshError('bad-request', `${path}:${lineOf(at)}: ${field === '' ? '' : `${field}: `}${issue?.message ?? 'is not a role'}`, { next: 'a role has name, summary and prompt, and may have hints, model, skills and limits; "skein roles show analyst" prints one' })
}
