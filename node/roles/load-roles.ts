/** The roles that this node knows: those that Skein ships, and those of the folder that the configuration names. */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MeshError } from '../../protocols/kernel/errors.ts'
import { nearest } from '../config/nearest.ts'
import { siblingFolder } from '../source-or-bundle.ts'
import { readRoleFile } from './role-file.ts'
import type { RoleProfile } from './schema.ts'

export const shippedRolesFolder = fileURLToPath(siblingFolder(import.meta.url, './shipped'))

/** How a node tells its skill threads where its own roles are: the one kind of variable that passes to them. */
export const rolesVariable = 'SKEIN_SKILL_ROLES'

const suffix = /\.(ya?ml|json)$/i

export interface KnownRole {
  readonly profile: RoleProfile
  /** `shipped`, or the file. */
  readonly origin: string
  /** It stands in for the shipped role of this name. */
  readonly overridesShipped: boolean
}

/**
 * @param folder of the configuration; absent or empty: the shipped roles only.
 * @returns by name, sorted.
 * @throws MeshError `bad-request` that names file and line, or both files that claim one name.
 */
export async function loadRoles(folder?: string): Promise<ReadonlyMap<string, KnownRole>> {
  const shipped = await rolesIn(shippedRolesFolder)
  const own = folder === undefined || folder === '' ? new Map<string, { profile: RoleProfile; path: string }>() : await rolesIn(folder)
  const known: KnownRole[] = [...own.values()].map(({ profile, path }) => ({ profile, origin: path, overridesShipped: shipped.has(profile.name) }))
  for (const { profile } of shipped.values()) if (!own.has(profile.name)) known.push({ profile, origin: 'shipped', overridesShipped: false })
  return new Map(known.sort((left, right) => (left.profile.name < right.profile.name ? -1 : 1)).map((role) => [role.profile.name, role]))
}

/** @throws MeshError `bad-request` with the nearest name. */
export function roleNamed<T>(roles: ReadonlyMap<string, T>, name: string): T {
  const found = roles.get(name)
  if (found !== undefined) return found
  const close = nearest(name, [...roles.keys()])
  throw new MeshError('bad-request', `there is no role "${name}"`, { next: `${close === undefined ? '' : `did you mean ${close}? `}the roles are: ${[...roles.keys()].join(', ')}` })
}

async function rolesIn(folder: string): Promise<Map<string, { profile: RoleProfile; path: string }>> {
  let names: string[]
  try {
    names = readdirSync(folder).filter((name) => suffix.test(name)).sort()
  } catch (thrown) {
    throw new MeshError('bad-request', `${folder}: the folder of roles cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`, { next: 'correct "roles" in the configuration, or make the folder' })
  }
  const found = new Map<string, { profile: RoleProfile; path: string }>()
  for (const name of names) {
    const path = join(folder, name)
    const profile = await readRoleFile(path)
    const other = found.get(profile.name)
    if (other !== undefined) throw new MeshError('bad-request', `${path}: the role "${profile.name}" is in ${basename(other.path)} already`, { next: 'give one of them another name' })
    found.set(profile.name, { profile, path })
  }
  return found
}
