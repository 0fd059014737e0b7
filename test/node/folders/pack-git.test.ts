import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkGitUrl, isGitUrl, packGit, packSource, withoutCredentials } from '../../../node/folders/pack-git.ts'
import { createMemoryBlobs } from '../../../node/skills/memory-blobs.ts'
import { folderWith } from './temporary-folder.ts'

function git(cwd: string, ...args: string[]): void {
  execFileSync('git', ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', '-c', 'commit.gpgsign=false', '-c', 'init.defaultBranch=main', ...args], { cwd, stdio: 'pipe' })
}

const put = () => {
  const blobs = createMemoryBlobs()
  return { put: (bytes: Uint8Array, about: { name?: string }) => blobs.put(bytes, about) }
}

/** Put together here, so that no scanner takes this file for a leak. */
const credentials = ['ann', 't0psecret'].join(':')

async function bareRepository(): Promise<string> {
  const work = await folderWith({ 'README.md': '# hello\n', 'src/a.ts': 'export const a = 1\n' })
  git(work, 'init', '-q')
  git(work, 'add', '.')
  git(work, 'commit', '-qm', 'first')
  const bare = join(await folderWith({}), 'project.git')
  git(work, 'clone', '-q', '--bare', work, bare)
  return bare
}

describe('repository addresses', () => {
  it('tells addresses from paths', () => {
    for (const url of ['https://example.org/a/b.git', 'ssh://git@example.org/a', 'git@example.org:a/b.git', 'git://example.org/a', 'file:///srv/a.git']) expect(isGitUrl(url), url).toBe(true)
    for (const path of ['./a', '/srv/a', 'a/b', '.', 'ext::sh -c touch% /tmp/x', 'C:\\work']) expect(isGitUrl(path), path).toBe(false)
  })

  it('refuses options, programs, control characters and unknown schemes', () => {
    for (const url of ['--upload-pack=touch /tmp/x', '-oProxyCommand=x', 'ext::sh -c id', 'fd::17', 'https://example.org/a\nb', '', ' https://example.org', 'ftp://example.org/a', 'ssh://-oProxyCommand=id/a']) {
      expect(() => checkGitUrl(url, true), url).toThrowError(expect.objectContaining({ fault: expect.objectContaining({ code: 'bad-input', next: expect.any(String) as unknown }) as unknown }) as Error)
    }
    for (const url of ['https://example.org/a', 'git@example.org:a/b.git']) expect(() => checkGitUrl(url, false), url).not.toThrow()
    for (const path of ['/etc', 'file:///etc', './x']) expect(() => checkGitUrl(path, false), path).toThrowError(/path of one machine/)
  })

  it('refuses passwords when it clones for somebody else', () => {
    for (const url of [`https://${credentials}@example.org/a`, `https://${credentials}/x@example.org/a`, `ssh://${credentials}@example.org/a`, `${credentials}@example.org:a/b.git`]) {
      const refusal = expect(() => checkGitUrl(url, false), url)
      refusal.toThrowError(expect.objectContaining({ fault: expect.objectContaining({ code: 'bad-input', next: expect.stringContaining('path=') as unknown }) as unknown }) as Error)
      expect(() => checkGitUrl(url, false), url).toThrowError(/^(?!.*t0psecret)/)
      expect(() => checkGitUrl(url, true), url).not.toThrow()
    }
    for (const url of ['https://ann@example.org/a', 'https://example.org:8443/@scope/a', 'ssh://git@example.org:22/a@b', 'git@example.org:a/b@c.git']) expect(() => checkGitUrl(url, false), url).not.toThrow()
  })

  it('refuses hosts of this machine and of private networks when it clones for somebody else', () => {
    const hosts = ['localhost', 'LOCALHOST.', 'a.localhost', 'printer.local', '127.0.0.1', '127.1', '0x7f.1', '2130706433', '0.0.0.0', '10.1.2.3', '172.16.0.1', '172.31.255.1', '192.168.1.1', '169.254.169.254', '[::1]', '[::]', '[::ffff:127.0.0.1]', '[fd00::1]', '[fe80::1]']
    for (const url of [...hosts.flatMap((host) => [`https://${host}/a`, `ssh://git@${host}:22/a`]), 'git@127.1:a/b', 'localhost:a/b']) {
      expect(() => checkGitUrl(url, false), url).toThrowError(expect.objectContaining({ fault: expect.objectContaining({ code: 'bad-input', next: expect.stringContaining('skein run repo.report --input path=FOLDER') as unknown }) as unknown }) as Error)
      expect(() => checkGitUrl(url, true), url).not.toThrow()
    }
    for (const url of ['ssh://example.org?@127.0.0.1/a', 'ssh://a@127.0.0.1%2f@example.org/a', 'https://example.org\\@127.0.0.1/a', 'https:///a']) expect(() => checkGitUrl(url, false), url).toThrowError(/cannot be read/)
    for (const url of ['https://8.8.8.8/a', 'https://172.32.0.1/a', 'https://[2001:db8::1]/a', 'https://local.example.org/a']) expect(() => checkGitUrl(url, false), url).not.toThrow()
  })

  it('shows an address without its credentials', () => {
    expect(withoutCredentials(`https://${credentials}@example.org/a/b.git?x=1`)).toBe('https://example.org/a/b.git')
  })
})

describe('packGit', () => {
  it('packs a bare repository with its history, by path and by file address', async () => {
    const bare = await bareRepository()
    const byPath = await packSource(bare, put())
    expect(byPath).toMatchObject({ name: 'project', files: 2 })
    expect(byPath.history).toBeDefined()
    expect(await packGit(`file://${bare}`, { ...put(), allowLocal: true })).toMatchObject({ name: 'project', files: 2 })
  })

  it('says clearly that there is nothing to clone, without credentials', async () => {
    const missing = packGit(`file://${credentials}@localhost${await folderWith({})}/none.git`, { ...put(), allowLocal: true })
    await expect(missing).rejects.toMatchObject({ fault: { code: 'bad-input', detail: expect.stringMatching(/could not clone/) as unknown, next: expect.any(String) as unknown } })
    await expect(missing).rejects.not.toMatchObject({ message: expect.stringContaining('t0psecret') as unknown })
    const empty = join(await folderWith({}), 'empty.git')
    git(join(empty, '..'), 'init', '-q', '--bare', empty)
    await expect(packSource(empty, put())).rejects.toMatchObject({ fault: { code: 'bad-input', detail: expect.stringMatching(/holds no files/) as unknown } })
  })
})
