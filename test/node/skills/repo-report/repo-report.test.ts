import { execFileSync } from 'node:child_process'
import { symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { inputOf } from '../../../../node/cli/input-values.ts'
import { diskAccess } from '../../../../node/folders/folder-access.ts'
import { formatCount } from '../../../../node/skills/repo-report/render/format.ts'
import { mergeMeasurements } from '../../../../node/skills/repo-report/measurement.ts'
import { measureFile } from '../../../../node/skills/repo-report/measure/measure-file.ts'
import type { Measurement } from '../../../../node/skills/repo-report/schema.ts'
import { ReportInput } from '../../../../node/skills/repo-report/declarations.ts'
import { repoReportSkills } from '../../../../node/skills/repo-report/skills.ts'
import { folderWith } from '../../folders/temporary-folder.ts'
import { buildReport, runReport } from './report-in-process.ts'
import { compileSchema } from '../../../../node/skills/program/declaration.ts'
import type { Json } from '../../../../protocols/kernel/payload.ts'
import { z } from 'zod'

const block = (name: string) => Array.from({ length: 20 }, (_, index) => `  ${name}.step${index}(${index} + input.length, "${name}")`).join('\n')

const project = {
  'README.md': '# Project\n\nText.\n',
  LICENSE: 'MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of this software\n',
  'package.json': JSON.stringify({ name: 'project', license: 'MIT', dependencies: { a: '1', b: '2' }, devDependencies: { c: '3' } }),
  'package-lock.json': JSON.stringify({ lockfileVersion: 3, packages: { '': {}, 'node_modules/a': { license: 'ISC' }, 'node_modules/b': { license: 'MIT' } } }),
  'src/one.ts': `// SPDX-License-Identifier: Apache-2.0\nexport function one(input: string) {\n  if (input && input.length > 1) return 1\n  // TODO make it faster\n${block('shared')}\n}\n`,
  'src/two.ts': `export const two = (input: string) => {\n${block('shared')}\n}\n`,
  'test/one.test.ts': "import { one } from '../src/one.ts'\nit('works', () => {})\nit.skip('fails', () => {})\n",
  'logo.png': new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0, 0, 0, 1]),
  'scripts/run': '#!/usr/bin/env python3\n# hi\nprint(1)\n',
}

describe('repo.report', () => {
  it('tells what is in a folder', async () => {
    const { report, output, tasks, pulses } = await buildReport(await folderWith(project))
    expect(report.totals).toMatchObject({ files: 9, binaryFiles: 1, testCases: 2, markers: 1, secrets: 0, dependencies: 3 })
    expect(report.totals.code + report.totals.comment + report.totals.blank).toBe(report.totals.lines)
    expect(report.languages.map((each) => each.name)).toEqual(expect.arrayContaining(['TypeScript', 'Markdown', 'JSON', 'Python']))
    expect(report.tests).toMatchObject({ files: 1, cases: 2 })
    expect(report.markers.places).toEqual([{ kind: 'TODO', path: 'src/one.ts', line: 4, text: 'make it faster' }])
    expect(report.complexity.worstFunctions[0]).toMatchObject({ name: 'one', path: 'src/one.ts', line: 2, complexity: 3 })
    expect(report.duplicates).toMatchObject({ lines: 40, files: 2 })
    expect(report.duplicates?.groups[0]?.places.map((place) => place.path).sort()).toEqual(['src/one.ts', 'src/two.ts'])
    expect(report.licences).toMatchObject({ headers: { 'Apache-2.0': 1 }, declared: { MIT: 1 }, files: [{ path: 'LICENSE', licences: ['MIT'] }] })
    expect(report.dependencies).toMatchObject({ byEcosystem: { npm: { manifests: 1, dependencies: 2, developmentDependencies: 1, locked: 2 } }, lockedLicences: { ISC: 1, MIT: 1 }, withoutLockFile: [] })
    expect(output.missing).toEqual([])
    expect(output.findings.length).toBeGreaterThanOrEqual(5)
    expect(tasks.filter((task) => task.capability === 'repo.measure').length).toBeGreaterThanOrEqual(8)
    expect(pulses).toBeGreaterThan(9)
  })

  it('finds notes to self in comments and at the head of lines of prose, not in strings and talk', async () => {
    const { report } = await buildReport(await folderWith({ 'a.ts': 'const a = "// TODO no" // FIXME: yes\n/*\n * HACK yes\n */\nconst TODO = `\n TODO no\n`\n', 'b.py': '"""\nTODO yes\n"""\nx = "TODO no"\n', 'c.md': '- TODO: yes\n\nThe TODO list is long.\n' }))
    expect(report.markers.places.map((each) => [each.path, each.line, each.kind, each.text])).toEqual([['a.ts', 1, 'FIXME', 'yes'], ['a.ts', 3, 'HACK', 'yes'], ['b.py', 2, 'TODO', 'yes'], ['c.md', 1, 'TODO', 'yes']])
  })

  it('shows the same numbers in every rendering', async () => {
    const { report, markdown, html, output } = await buildReport(await folderWith(project))
    for (const value of [report.totals.files, report.totals.lines, report.totals.code, report.totals.functions]) {
      for (const text of [markdown, html, output.summary]) expect(text).toContain(formatCount(value))
    }
    expect(report.languages.reduce((sum, each) => sum + each.lines, 0)).toBe(report.totals.lines)
    expect(output.totals).toEqual(report.totals)
  })

  it('gives the same totals for one level of tasks and for sections of sections', { timeout: 60_000 }, async () => {
    const files = Object.fromEntries(Array.from({ length: 4_100 }, (_, index) => [`d${index % 50}/f${index}.ts`, `export function f${index}(a) {\n  if (a) return ${index % 7}\n${index % 100 === 0 ? block('same') : ''}\n}\n// TODO ${index}\n`]))
    const folder = await folderWith(files)
    const deep = await buildReport(folder)
    const flat = await buildReport(folder, { limits: { leavesLeft: 30, depthLeft: 1 } })
    expect(deep.tasks.some((task) => task.capability === 'repo.section')).toBe(true)
    expect(deep.tasks.filter((task) => task.capability === 'repo.measure').length).toBeLessThanOrEqual(30)
    expect(flat.tasks.some((task) => task.capability === 'repo.section')).toBe(false)
    expect(deep.report).toEqual(flat.report)
    expect(deep.report.totals.files).toBe(4_100)
    expect(deep.html).toBe(flat.html)
  })

  it('says which part is missing when a task fails for good', async () => {
    const { report, output, html, markdown } = await buildReport(await folderWith(project), { fails: (_, path) => path.endsWith('part-3') || path.endsWith('dependencies') })
    expect(report.missing.map((part) => part.part).sort()).toEqual(['dependencies', 'part-3'])
    expect(report.missingFiles).toBeGreaterThan(0)
    expect(report.totals.files + report.missingFiles).toBe(9)
    expect(output.missing).toHaveLength(2)
    expect(output.summary).toContain('part-3')
    for (const text of [html, markdown]) expect(text).toContain('This report is incomplete')
    await expect(buildReport(await folderWith(project), { fails: (capability) => capability === 'repo.measure' })).rejects.toMatchObject({ fault: { code: 'skill-failed' } })
  })

  it('reports on a folder of binaries', async () => {
    const { report, output, html } = await buildReport(await folderWith({ 'a.bin': new Uint8Array(5_000), 'b.png': new Uint8Array(9_000), 'c.bin': new Uint8Array(5_000) }))
    expect(report.totals).toMatchObject({ files: 3, textFiles: 0, binaryFiles: 3, lines: 0, sizeBytes: 19_000 })
    expect(report.large.binaryKinds).toEqual([{ kind: '.bin', files: 2, sizeBytes: 10_000 }, { kind: '.png', files: 1, sizeBytes: 9_000 }])
    expect(output.summary).toContain('There is no text here')
    expect(html).not.toContain('NaN')
  })

  it('tells what was left out', async () => {
    const folder = await folderWith({ ...project, 'locked.txt': 'x' })
    await symlink('/etc', join(folder, 'out'))
    const access = { ...diskAccess, open: (path: string) => (path.endsWith('locked.txt') ? Promise.reject(Object.assign(new Error('no'), { code: 'EACCES' })) : diskAccess.open(path)) }
    const { report, html } = await buildReport(folder, { pack: { access } })
    expect(report.folder).toMatchObject({ unreadableTotal: 1, linksThatLeave: ['out'] })
    expect(html).toContain('locked.txt')
  })

  it('escapes whatever a file may be called or hold', async () => {
    const evil = '<img src=x onerror=alert(1)>'
    const { html, markdown } = await buildReport(await folderWith({ [`${evil}.ts`]: `// TODO <script>alert("x")</script> | \`a\`\nexport function f(a) { return a }\n`, 'package.json': JSON.stringify({ name: evil, license: evil, dependencies: { [evil]: '1' } }), 'a.ts': '// SPDX-License-Identifier: constructor\n' }))
    expect(html).not.toMatch(/<img|<script|onerror=alert\(1\)>/)
    expect(html).toContain('&lt;script&gt;')
    expect(html).not.toMatch(/(?:src|href)="(?!#)/)
    expect(markdown).not.toContain('<script>')
  })

  it('keeps to the chapters asked for', async () => {
    const { report, tasks, markdown } = await buildReport(await folderWith(project), { options: { sections: ['languages', 'tests'], topN: 3 } })
    expect(tasks.some((task) => task.capability === 'repo.dependencies')).toBe(false)
    expect(report.duplicates).toBeUndefined()
    expect(markdown).toContain('## Tests')
    expect(markdown).not.toContain('## Complexity')
  })

  it('stays within the leaves that are left, and refuses when there are none', async () => {
    const folder = await folderWith(project)
    for (const leavesLeft of [1, 2, 5]) expect((await buildReport(folder, { limits: { leavesLeft, depthLeft: 1 } })).tasks).toHaveLength(leavesLeft + 1)
    await expect(buildReport(folder, { limits: { leavesLeft: 0, depthLeft: 1 } })).rejects.toMatchObject({ fault: { code: 'over-limit' } })
  })

  it('finds hot spots in the history', async () => {
    const folder = await folderWith(project)
    const git = (...args: string[]) => execFileSync('git', ['-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', '-c', 'commit.gpgsign=false', ...args], { cwd: folder, stdio: 'pipe' })
    git('init', '-q')
    git('add', '.')
    git('commit', '-qm', 'first')
    execFileSync('sh', ['-c', 'echo "// more" >> src/one.ts'], { cwd: folder })
    git('commit', '-qam', 'second')
    const { report, everythingSaid } = await buildReport(folder)
    expect(report.history).toMatchObject({ commits: 2, authors: 1, busFactor: 1, hotspots: [{ path: 'src/one.ts', commits: 2 }] })
    expect(everythingSaid).not.toContain('ann@example.org')
  })

  it('refuses to clone from the disk of the node that plans', async () => {
    for (const git of ['/etc', 'file:///etc', '../x', 'ext::sh -c id', '--upload-pack=x']) await expect(runReport({ git })).rejects.toMatchObject({ fault: { code: 'bad-input' } })
  })

  it('refuses inputs that are neither a folder nor an address', async () => {
    const schema = repoReportSkills[0]?.input
    for (const input of [{}, { folder: '/home' }, { git: '' }, { git: 'https://x/y', folder: {} }]) expect((await schema?.['~standard'].validate(input))?.issues).toBeDefined()
  })

  it('refuses a password on the command line at once', async () => {
    const uploader = { put: () => Promise.reject(new Error('nothing is to be uploaded')) }
    const typed = inputOf('repo.report', [`git=https://${['ann', 't0psecret'].join(':')}@example.org/a`], undefined, '/', uploader)
    await expect(typed).rejects.toMatchObject({ fault: { code: 'bad-input', next: expect.stringContaining('path=') as unknown } })
  })

  it('refuses a password by its schema, as other nodes and languages see it too', async () => {
    const schema = repoReportSkills.find((skill) => skill.capability === 'repo.report')?.input
    const withPassword = { git: `https://${['ann', 't0psecret'].join(':')}@example.org/a` }
    const checked = await schema?.['~standard'].validate(withPassword)
    expect(checked?.issues).toBeDefined()
    expect(JSON.stringify(checked?.issues)).not.toContain('t0psecret')
    const described = compileSchema(z.toJSONSchema(ReportInput, { io: 'input', unrepresentable: 'any' }) as Json, 'the report')
    expect(described.safeParse(withPassword).success).toBe(false)
    expect(described.safeParse({ git: 'https://ann@example.org/a' }).success).toBe(true)
  })
})

describe('mergeMeasurements', () => {
  it('is associative and commutative', async () => {
    const measured = await Promise.all(
      Array.from({ length: 12 }, async (_, index) =>
        (await measureFile({ path: `f${index % 5}/x${index}.${['ts', 'py', 'md', 'png'][index % 4] ?? ''}`, sizeBytes: 100 + (index % 3), headOnly: false, bytes: index % 4 === 3 ? new Uint8Array(10) : new TextEncoder().encode(`# TODO a\n// TODO b\nfunction f(a) { if (a) return ${index} }\n`) }, { secretKey: 'k'.repeat(16), duplicates: false, pulse: () => undefined })).measurement,
      ),
    )
    const merge = (parts: readonly Measurement[]) => mergeMeasurements(parts, 3)
    const all = merge(measured)
    expect(merge([merge(measured.slice(0, 5)), merge([merge(measured.slice(5, 7)), merge(measured.slice(7))])])).toEqual(all)
    expect(merge([...measured].reverse())).toEqual(all)
  })
})
