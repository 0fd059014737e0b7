/** One role's YAML file: read, parsed and checked, with the line of whatever is wrong. */
import { MeshError } from '../../protocols/kernel/errors.ts'
import { readYamlFile } from '../config/yaml-file.ts'
import { type RoleProfile, RoleFile, profileOf } from './schema.ts'

/** @throws MeshError `bad-request` that names file, line and field. */
export async function readRoleFile(path: string): Promise<RoleProfile> {
  const { value, lineOf } = await readYamlFile(path)
  const checked = RoleFile.safeParse(value)
  if (checked.success) return profileOf(checked.data)
  const [issue] = checked.error.issues
  const at = issue?.code === 'unrecognized_keys' ? [...issue.path, ...issue.keys.slice(0, 1)] : (issue?.path ?? [])
  const field = at.map(String).join('.')
  throw new MeshError('bad-request', `${path}:${lineOf(at)}: ${field === '' ? '' : `${field}: `}${issue?.message ?? 'is not a role'}`, { next: 'a role has name, summary and prompt, and may have hints, model, skills and limits; "skein roles show analyst" prints one' })
}
