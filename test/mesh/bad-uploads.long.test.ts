/** Folders that are missing, empty, odd, unreadable, changing or huge, given to the program as a person gives them. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RepoReport } from '../../node/skills/repo-report/report-model.ts'
import type { MissionView } from '../../protocols/tasking/views.ts'
import { lacksProgram, named } from '../requirements.ts'
import { type RealMesh, startRealMesh } from '../support/real-mesh.ts'
import { say } from '../support/refusals.ts'
import type { CommandOptions } from '../support/skein-command.ts'
import { until } from '../support/until.ts'

let mesh: RealMesh
beforeAll(async () => {
  mesh = await startRealMesh([{ name: 'front' }, { name: 'other' }])
})
afterAll(() => mesh?.stop())

const options = (): CommandOptions => ({ env: { ...mesh.env, SKEIN_URL: mesh.node('front').http }, cwd: mesh.folder })
const run = (folder: string, extra: CommandOptions = {}, ...flags: string[]) => say(['run', 'repo.report', '-i', `path=${folder}`, ...flags], { ...options(), ...extra })

function folderWith(name: string, files: Record<string, string | Uint8Array>): string {
  const folder = join(mesh.folder, name)
  mkdirSync(folder, { recursive: true })
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  return folder
}

/** The JSON of a report that was asked for, and everything that was saved of it as one text. */
async function reportOn(folder: string, extra: CommandOptions = {}): Promise<{ report: RepoReport; everything: string; out: string }> {
  const output = join(mesh.folder, `out-${Math.random().toString(36).slice(2)}`)
  const said = await run(folder, extra, '--output', output)
  expect(said, said.err).toMatchObject({ code: 0 })
  const { saved = [] } = JSON.parse(said.out) as MissionView & { saved?: string[] }
  const texts = saved.map((path) => readFileSync(path.startsWith('/') ? path : join(output, path), 'utf8'))
  const json = texts[saved.findIndex((path) => path.endsWith('.json'))] ?? ''
  return { report: RepoReport.parse(JSON.parse(json)), everything: texts.join('\n'), out: said.out }
}

it('a missing folder, a file in place of one, and an empty one are told apart before anything is submitted', async () => {
  const missing = await run('nowhere/at/all')
  expect(missing).toMatchObject({ code: 2, fault: { code: 'bad-input' } })
  expect(missing.fault?.detail).toMatch(/there is no folder at .*nowhere\/at\/all/)
  expect(missing.fault?.next).toMatch(/machine where the command runs/)
  writeFileSync(join(mesh.folder, 'a-file'), 'x')
  expect(await run('a-file')).toMatchObject({ code: 2, fault: { code: 'bad-input', detail: expect.stringContaining('is not a folder') } })
  const empty = await run(folderWith('empty', {}))
  expect(empty).toMatchObject({ code: 2, fault: { code: 'bad-input' } })
  expect(empty.fault?.detail).toMatch(/holds no files/)
  const onlyFolders = folderWith('hollow', {})
  mkdirSync(join(onlyFolders, 'a', 'b'), { recursive: true })
  expect(await run(onlyFolders)).toMatchObject({ code: 2, fault: { detail: expect.stringContaining('holds no files') } })
  expect(await mesh.node('front').client.missions()).toEqual([])
})

it('a path that only the bridge has is not read by the bridge', async () => {
  // Over HTTP there is no way to name a folder: the input must be content.
  const answer = await fetch(`${mesh.node('front').http}/v1/missions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ capability: 'repo.report', input: { folder: '/etc' } }) })
  expect(answer.status).toBe(422)
  expect(await answer.json()).toMatchObject({ code: 'bad-input', next: expect.any(String) })
  const local = await fetch(`${mesh.node('front').http}/v1/missions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ capability: 'repo.report', input: { git: 'file:///etc' } }) })
  const { id } = await local.json() as { id?: MissionView['id'] }
  if (id === undefined) return expect(local.status).toBe(422)
  const view = await until(async () => {
    const found = await mesh.node('front').client.mission(id)
    return found.endedAtWallMs === undefined ? undefined : found
  }, { what: 'the mission to end', context: mesh.lastWords })
  expect(view).toMatchObject({ state: 'failed', fault: { retryable: false } })
})

it('a folder of nothing but binaries gives a report that says so', async () => {
  const png = Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')
  const noise = Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * 7919) % 256))
  const { report } = await reportOn(folderWith('binaries', { 'a.png': png, 'b.bin': noise, 'deep/c.dat': Buffer.concat([Buffer.from([0, 1, 2]), noise]) }))
  expect(report.totals).toMatchObject({ files: 3, textFiles: 0, binaryFiles: 3, code: 0, lines: 0 })
  expect(report.missing).toEqual([])
})

it('odd files: no end of line, one endless line, nothing in them, names with spaces and quotes', async () => {
  const { report } = await reportOn(folderWith('odd', {
    'no-newline.ts': 'export const a = 1', 'empty.ts': '', 'one-line.js': `var x = [${'1,'.repeat(400_000)}1]`, "it's \"a\" file.md": '# hi\n', 'ünï/çödé.py': 'print(1)\n', '-rf': 'text\n', 'bad-utf8.txt': Buffer.from([0x61, 0xff, 0xfe, 0x0a]),
  }))
  expect(report.totals.files).toBe(7)
  expect(report.missing).toEqual([])
  expect(report.emptyFiles).toBe(1)
})

/** Root reads everything; without this capability it does not. */
const asOthers: readonly string[] = process.getuid?.() === 0 ? ['setpriv', '--inh-caps=-dac_override,-dac_read_search', '--bounding-set=-dac_override,-dac_read_search', '--'] : []
const lack = asOthers.length > 0 ? lacksProgram('setpriv') : undefined

it.skipIf(lack)(named('an unreadable file or folder is named in the report, the rest is measured; when nothing can be read that is the error', lack), async () => {
  const folder = folderWith('locked', { 'open.ts': 'export const a = 1\n', 'secret.ts': 'export const hidden_value = 42\n', 'vault/inside.ts': 'export const b = 2\n' })
  chmodSync(join(folder, 'secret.ts'), 0)
  chmodSync(join(folder, 'vault'), 0)
  try {
    const { report, everything } = await reportOn(folder, { prefix: asOthers })
    expect(report.totals.files).toBe(1)
    expect(report.folder.unreadable).toEqual([{ path: 'secret.ts', reason: 'permission denied' }, { path: 'vault', reason: 'permission denied' }])
    expect(report.findings.map((finding) => finding.text).join('\n')).toMatch(/could not be read/)
    expect(everything).not.toContain('hidden_value')
    chmodSync(join(folder, 'open.ts'), 0)
    const nothing = await run(folder, { prefix: asOthers })
    expect(nothing).toMatchObject({ code: 2, fault: { code: 'bad-input', next: expect.stringContaining('may read') } })
    expect(nothing.fault?.detail).toMatch(/nothing in .* could be read/)
    chmodSync(folder, 0)
    expect(await run(folder, { prefix: asOthers })).toMatchObject({ code: 2, fault: { code: 'bad-input', detail: expect.stringContaining('permission denied') } })
  } finally {
    for (const path of [folder, join(folder, 'vault'), join(folder, 'secret.ts')]) chmodSync(path, 0o700)
  }
})

it('a link out of the folder is not followed: its content never leaves', async () => {
  folderWith('outside', { 'private.txt': 'the-password-is-xyzzy\n', 'more/deep.ts': 'const alsoPrivate = "xyzzy"\n' })
  const folder = folderWith('linked', { 'a.ts': 'export const a = 1\n' })
  symlinkSync(join(mesh.folder, 'outside', 'private.txt'), join(folder, 'absolute.txt'))
  symlinkSync('../outside/private.txt', join(folder, 'relative.txt'))
  symlinkSync('../outside/more', join(folder, 'folder'))
  symlinkSync('/etc/passwd', join(folder, 'passwd'))
  symlinkSync('a.ts', join(folder, 'inside.ts'))
  symlinkSync('.', join(folder, 'loop'))
  symlinkSync('nowhere', join(folder, 'dangling'))
  const { report, everything, out } = await reportOn(folder)
  expect(report.totals.files).toBe(1)
  expect([...report.folder.linksThatLeave].sort()).toEqual(['absolute.txt', 'folder', 'passwd', 'relative.txt'])
  expect(report.folder.links).toBe(7)
  for (const told of [everything, out]) {
    expect(told).not.toMatch(/xyzzy|alsoPrivate|root:x:/)
    expect(told).not.toContain(join(mesh.folder, 'outside'))
  }
  // Nothing of it lies in any node's store either.
  for (const node of mesh.nodes) expect(() => execFileSync('grep', ['-rqa', 'xyzzy', join(node.dataDir, 'blobs')])).toThrow()
})

it('a folder of links only, and one that is itself a link', async () => {
  const only = folderWith('only-links', {})
  symlinkSync('/etc/hostname', join(only, 'h'))
  expect(await run(only)).toMatchObject({ code: 2, fault: { detail: expect.stringContaining('not followed') } })
  symlinkSync(folderWith('target', { 'a.ts': 'export {}\n' }), join(mesh.folder, 'by-link'))
  expect((await reportOn(join(mesh.folder, 'by-link'))).report.totals.files).toBe(1)
})

it('a file that changes while it is read is told, and the report is finished all the same', async () => {
  const folder = folderWith('changing', { 'still.ts': 'export const a = 1\n', 'log.txt': 'a line of a log\n'.repeat(600_000) })
  // Another thread writes without a pause: no reading of 10 MB finds it as it was.
  const writer = new Worker(`
    const fs = require('node:fs'); const { workerData } = require('node:worker_threads')
    const fd = fs.openSync(workerData, 'r+'); const size = fs.fstatSync(fd).size
    for (;;) { fs.writeSync(fd, 'more', size); fs.ftruncateSync(fd, size) }`, { eval: true, workerData: join(folder, 'log.txt') })
  try {
    const report = await until(async () => {
      const told = (await reportOn(folder)).report
      expect(told.totals.files).toBe(2)
      expect(told.missing).toEqual([])
      return told.folder.changedWhileRead.includes('log.txt') ? told : undefined
    }, { what: 'a report that tells of the change' })
    expect(report.folder.changedWhileRead).toEqual(['log.txt'])
    expect(report.findings.map((finding) => finding.text).join('\n')).toMatch(/changed while being read/)
  } finally {
    await writer.terminate()
  }
})

it('files that vanish while the folder is read do no harm', async () => {
  const folder = folderWith('vanishing', { 'keep.ts': 'export const a = 1\n' })
  const flicker = new Worker(`
    const fs = require('node:fs'); const { workerData } = require('node:worker_threads')
    for (let i = 0; ; i++) { const p = workerData + '/f' + (i % 50) + '.ts'; fs.writeFileSync(p, 'export {}'); if (i % 3) fs.rmSync(p, { force: true }) }`, { eval: true, workerData: folder })
  try {
    for (let round = 0; round < 2; round++) expect((await reportOn(folder)).report.totals.files).toBeGreaterThan(0)
  } finally {
    await flicker.terminate()
  }
})
