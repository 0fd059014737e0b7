import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { defaultPeersFolder, peerVersions } from '../../scripts/bench/peers/folder.ts'
import { repositoryRoot } from '../../scripts/bench/table.ts'

describe('what Skein is measured beside', () => {
  it.each(Object.entries(peerVersions.npm))('%s is pinned to one version: %s', (_name, version) => {
    expect(version).toMatch(/^\d+\.\d+\.\d+$/)
  })

  it('is no dependency of Skein', () => {
    const own = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as { dependencies: object; devDependencies: object }
    const depended = new Set([...Object.keys(own.dependencies), ...Object.keys(own.devDependencies)])
    expect(Object.keys(peerVersions.npm).filter((name) => depended.has(name))).toEqual([])
  })

  it('lies among the user\'s caches', () => {
    expect(defaultPeersFolder({ XDG_CACHE_HOME: '/caches' })).toBe('/caches/skein/bench-peers')
  })
})
