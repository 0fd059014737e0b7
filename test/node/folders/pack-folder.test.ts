import { execFileSync } from 'node:child_process'
import { appendFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { diskAccess } from '../../../node/folders/folder-access.ts'
import type { FolderAccess } from '../../../node/folders/folder-access.ts'
import { packFolder } from '../../../node/folders/pack-folder.ts'
import type { PackOptions } from '../../../node/folders/pack-folder.ts'
import { folderLimits, FolderHistory, FolderManifest, FolderRef } from '../../../node/folders/schema.ts'
import { unpackFolder } from '../../../node/folders/unpack-folder.ts'
import { createMemoryBlobs } from '../../../node/skills/memory-blobs.ts'
import { folderWith } from './temporary-folder.ts'

async function pack(path: string, options: Partial<PackOptions> = {}) {
  const blobs = createMemoryBlobs()
  const ref = FolderRef.parse(await packFolder(path, { put: (bytes, about) => blobs.put(bytes, about), ...options }))
  const json = async (blob: { $blob: string }) => JSON.parse(new TextDecoder().decode(await blobs.get(blob.$blob as never))) as unknown
  const manifest = FolderManifest.parse(await json(ref.$folder))
  const packs = async (index: number) => (await blobs.get(manifest.packs[index]?.$blob as never)) ?? new Uint8Array(0)
  return { ref, manifest, packs, json, blobs }
}

function git(cwd: string, ...args: string[]): void {
  execFileSync('git', ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', '-c', 'commit.gpgsign=false', '-c', 'init.defaultBranch=main', ...args], { cwd, stdio: 'pipe' })
}

const faultOf = (code: string, detail: RegExp) => expect.objectContaining({ fault: expect.objectContaining({ code, detail: expect.stringMatching(detail) as unknown, next: expect.any(String) as unknown }) as unknown })

describe('packFolder', () => {
  it('comes back the same from its packs', async () => {
    const files = { 'a.txt': 'one\n', 'deep/er/b.bin': new Uint8Array([0, 1, 2]), 'empty': '', 'package.json': '{}', 'spåce ünd/ü.md': '# ü' }
    const folder = await folderWith(files)
    const { manifest, packs, ref } = await pack(folder)
    expect(manifest.files.map((file) => file.path)).toEqual(Object.keys(files).sort())
    expect(ref.files).toBe(5)
    const into = join(await folderWith({}), 'out')
    await unpackFolder(manifest, packs, into)
    for (const [path, content] of Object.entries(files)) expect(new Uint8Array(await readFile(join(into, path)))).toEqual(typeof content === 'string' ? new TextEncoder().encode(content) : content)
    await expect(unpackFolder(manifest, packs, into)).rejects.toEqual(faultOf('bad-input', /not empty/))
  })

  it('gives the same blobs for the same content', async () => {
    const files = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`f${index}.txt`, `content ${index}\n`.repeat(index)]))
    const first = await pack(await folderWith(files), { name: 'same' })
    const second = await pack(await folderWith(files), { name: 'same' })
    expect(second.ref).toEqual(first.ref)
  })

  it('refuses what is missing, empty or no folder, and says what to do', async () => {
    const folder = await folderWith({ file: 'x' })
    await expect(pack(join(folder, 'nowhere'))).rejects.toEqual(faultOf('bad-input', /no folder at/))
    await expect(pack(join(folder, 'file'))).rejects.toEqual(faultOf('bad-input', /is not a folder/))
    await expect(pack(await folderWith({}))).rejects.toEqual(faultOf('bad-input', /holds no files/))
  })

  it('records links and never follows them', async () => {
    const outside = await folderWith({ 'secret.txt': 'do not read me' })
    const folder = await folderWith({ 'in.txt': 'inside' })
    await symlink(join(outside, 'secret.txt'), join(folder, 'leaves'))
    await symlink(outside, join(folder, 'leaves-folder'))
    await symlink('../..', join(folder, 'climbs'))
    await symlink('in.txt', join(folder, 'stays'))
    await symlink('leaves-folder/secret.txt', join(folder, 'leaves-by-two'))
    await symlink('gone', join(folder, 'dangles'))
    const { manifest, blobs } = await pack(folder)
    expect(manifest.files.map((file) => file.path)).toEqual(['in.txt'])
    expect(Object.fromEntries(manifest.links.map((link) => [link.path, link.leavesFolder]))).toEqual({ climbs: true, dangles: false, leaves: true, 'leaves-by-two': true, 'leaves-folder': true, stays: false })
    for (const { bytes } of blobs.contents.values()) expect(new TextDecoder().decode(bytes)).not.toContain('do not read me')
  })

  it('records what it may not read and goes on', async () => {
    const folder = await folderWith({ 'a.txt': 'a', 'locked.txt': 'l', 'z.txt': 'z' })
    const access: FolderAccess = { ...diskAccess, open: (path) => (path.endsWith('locked.txt') ? Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' })) : diskAccess.open(path)) }
    const { manifest } = await pack(folder, { access })
    expect(manifest.files.map((file) => file.path)).toEqual(['a.txt', 'z.txt'])
    expect(manifest.unreadable).toEqual([{ path: 'locked.txt', reason: 'permission denied' }])
  })

  it('refuses a folder in which nothing can be read', async () => {
    const folder = await folderWith({ 'a.txt': 'a' })
    const access: FolderAccess = { ...diskAccess, open: () => Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' })) }
    await expect(pack(folder, { access })).rejects.toEqual(faultOf('bad-input', /nothing in .* could be read: 1 unreadable/))
  })

  /** Appends to a file between the reading and the second look, `times` times. */
  function written(path: string, times: number): FolderAccess {
    let left = times
    return {
      ...diskAccess,
      async open(opened) {
        const file = await diskAccess.open(opened)
        return {
          stat: () => file.stat(),
          close: () => file.close(),
          async read(...args) {
            const done = await file.read(...args)
            if (opened.endsWith(path) && left > 0 && done.bytesRead > 0) {
              left--
              await appendFile(opened, 'more\n')
            }
            return done
          },
        }
      },
    }
  }

  it('reads a file again that changed while it was read', async () => {
    const folder = await folderWith({ 'log.txt': 'first\n' })
    const { manifest, packs } = await pack(folder, { access: written('log.txt', 1) })
    expect(manifest.files[0]).toMatchObject({ path: 'log.txt', sizeBytes: 11 })
    expect(manifest.files[0]?.changedWhileRead).toBeUndefined()
    expect(new TextDecoder().decode(await packs(0))).toBe('first\nmore\n')
  })

  it('marks a file that keeps changing, with bytes that match their hash', async () => {
    const folder = await folderWith({ 'log.txt': 'first\n' })
    const { manifest, packs } = await pack(folder, { access: written('log.txt', 1_000) })
    expect(manifest.files[0]?.changedWhileRead).toBe(true)
    await unpackFolder(manifest, packs, join(await folderWith({}), 'out'))
  })

  it('keeps only the head of a very large file', async () => {
    const folder = await folderWith({ 'big.bin': new Uint8Array(folderLimits.wholeFileBytesMax + 1), 'small.txt': 's' })
    const { manifest, ref } = await pack(folder)
    expect(manifest.files[0]).toMatchObject({ path: 'big.bin', sizeBytes: folderLimits.wholeFileBytesMax + 1, headBytes: folderLimits.headBytes })
    expect(ref.packs.reduce((sum, each) => sum + each.sizeBytes, 0)).toBeLessThan(folderLimits.headBytes + 10)
  })

  it.skipIf(process.platform === 'win32')('skips pipes with a reason, without waiting for them', async () => {
    const folder = await folderWith({ 'a.txt': 'a' })
    execFileSync('mkfifo', [join(folder, 'pipe')])
    expect((await pack(folder)).manifest.skipped).toEqual([{ path: 'pipe', reason: 'a named pipe' }])
  })

  it('leaves out what .gitignore names, with git and without', async () => {
    const files = { '.gitignore': 'dist/\n*.log\n!keep.log\n', 'a.ts': 'a', 'dist/x.js': 'x', 'b.log': 'b', 'keep.log': 'k', 'inner/.gitignore': '/local.txt\n', 'inner/local.txt': 'l', 'inner/more/local.txt': 'm', 'node_modules/p/index.js': 'p' }
    const kept = ['.gitignore', 'a.ts', 'inner/.gitignore', 'inner/more/local.txt', 'keep.log']
    const folder = await folderWith(files)
    expect((await pack(folder)).manifest.files.map((file) => file.path)).toEqual(kept)
    git(folder, 'init', '-q')
    const { manifest, ref } = await pack(folder)
    expect(manifest.files.map((file) => file.path)).toEqual(kept)
    expect(ref.history).toBeUndefined()
    expect((await pack(folder, { respectGitignore: false })).manifest.files).toHaveLength(8)
    // Asked for by name, an ignored folder is read as it is, and so is one among installed packages.
    expect((await pack(join(folder, 'dist'))).manifest.files.map((file) => file.path)).toEqual(['x.js'])
    expect((await pack(join(folder, 'node_modules/p'))).manifest.files.map((file) => file.path)).toEqual(['index.js'])
  })

  it('carries the history with authors as numbers', async () => {
    const folder = await folderWith({ 'a.ts': 'one\n' })
    git(folder, 'init', '-q')
    git(folder, 'add', '.')
    git(folder, 'commit', '-qm', 'first')
    await writeFile(join(folder, 'a.ts'), 'one\ntwo\n')
    git(folder, 'commit', '-qam', 'second')
    const { ref, json, blobs, manifest } = await pack(folder)
    const history = FolderHistory.parse(await json(ref.history ?? { $blob: '' }))
    expect(history.commits.map(([, author, changes]) => [author, changes])).toEqual([[0, [0, 1, 0]], [0, [0, 1, 0]]])
    expect(history).toMatchObject({ paths: ['a.ts'], authors: 1, truncated: false })
    expect(manifest.git).toMatchObject({ branch: 'main', shallow: false })
    for (const { bytes } of blobs.contents.values()) expect(new TextDecoder().decode(bytes)).not.toMatch(/ann/i)
  })

  it('packs 20,000 files with few of them open at once', { timeout: 120_000 }, async () => {
    const folder = await folderWith({})
    for (let group = 0; group < 100; group++) {
      await mkdir(join(folder, `d${group}`))
      await Promise.all(Array.from({ length: 200 }, (_, index) => writeFile(join(folder, `d${group}`, `f${index}.txt`), `file ${group} ${index}\n`)))
    }
    let open = 0
    let openMax = 0
    const access: FolderAccess = {
      ...diskAccess,
      async open(path) {
        openMax = Math.max(openMax, ++open)
        const file = await diskAccess.open(path)
        return { stat: () => file.stat(), read: (...args) => file.read(...args), close: () => file.close().finally(() => open--) }
      },
    }
    const { ref, manifest } = await pack(folder, { access })
    expect(ref.files).toBe(20_000)
    expect(new Set(manifest.files.map((file) => file.path)).size).toBe(20_000)
    expect(openMax).toBeLessThanOrEqual(folderLimits.readsInFlightMax)
  })

  it('stops when told to', async () => {
    const folder = await folderWith({ 'a.txt': 'a', 'b.txt': 'b' })
    const stop = new AbortController()
    stop.abort()
    await expect(pack(folder, { signal: stop.signal })).rejects.toMatchObject({ fault: { code: 'cancelled' } })
  })
})

describe('unpackFolder', () => {
  it('refuses paths that climb out, and bytes that do not match', async () => {
    const { manifest, packs } = await pack(await folderWith({ 'a.txt': 'a' }))
    const file = manifest.files[0]
    if (file === undefined) throw new Error('no file')
    const into = join(await folderWith({}), 'out')
    for (const path of ['../evil', '/etc/evil', 'a/../../evil', 'a//b', './a', '.git/config', 'a\0b']) {
      await expect(unpackFolder({ ...manifest, files: [{ ...file, path }] }, packs, into)).rejects.toEqual(faultOf('bad-input', /not allowed/))
    }
    await expect(unpackFolder(manifest, () => Promise.resolve(new TextEncoder().encode('b')), into)).rejects.toEqual(faultOf('bad-input', /do not match/))
    await expect(unpackFolder(manifest, () => Promise.resolve(new Uint8Array(0)), into)).rejects.toEqual(faultOf('bad-input', /beyond the end/))
  })
})
