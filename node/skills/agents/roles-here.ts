/** Roles as skills find them: by value in the input, or by name on this node. */
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { loadRoles, roleNamed, rolesVariable } from '../../roles/load-roles.ts'
import type { KnownRole } from '../../roles/load-roles.ts'
import { type RoleProfile, verifiedProfile } from '../../roles/schema.ts'

/** Of this node, by name. @throws MeshError `bad-request`. */
export async function rolesHere(): Promise<ReadonlyMap<string, KnownRole>> {
  return await loadRoles(process.env[rolesVariable])
}

/** @throws MeshError `bad-input` when there is no role of this name here. */
export async function roleOf(given: string | RoleProfile, more: readonly RoleProfile[] = []): Promise<RoleProfile> {
  if (typeof given !== 'string') return verifiedProfile(given)
  const brought = more.find((role) => role.name === given)
  if (brought !== undefined) return verifiedProfile(brought)
  try {
    return roleNamed(await rolesHere(), given).profile
  } catch (thrown) {
    if (thrown instanceof MeshError) throw new MeshError('bad-input', thrown.fault.detail, thrown.fault.next === undefined ? {} : { next: thrown.fault.next })
    throw thrown
  }
}
