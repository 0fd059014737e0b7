import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadRoles, roleNamed } from '../../../node/roles/load-roles.ts'
import { RoleFile, profileOf, verifiedProfile } from '../../../node/roles/schema.ts'
import { faultOf } from '../skills/agents/scripted-context.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skein-roles-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const write = (name: string, text: string): void => writeFileSync(join(folder, name), text)

describe('the shipped roles', () => {
  it('are ten, each with a summary, a prompt of its own and words for the work that it suits', async () => {
    const roles = await loadRoles()
    expect([...roles.keys()]).toEqual(['analyst', 'backend', 'devops', 'docs', 'fixer', 'frontend', 'refactorer', 'researcher', 'reviewer', 'test'])
    for (const [name, { profile, origin, overridesShipped }] of roles) {
      expect({ name: profile.name, origin, overridesShipped }).toEqual({ name, origin: 'shipped', overridesShipped: false })
      expect(profile.hints.length, name).toBeGreaterThan(3)
      expect(profile.prompt.length, name).toBeGreaterThan(400)
    }
    expect(new Set([...roles.values()].map(({ profile }) => profile.prompt)).size).toBe(10)
  })
})

describe('a folder of roles', () => {
  it('adds some, and one of a shipped name replaces that and says so', async () => {
    write('lawyer.yaml', 'name: lawyer\nsummary: reads contracts\nprompt: You read contracts.\nskills: [docs.*, -docs.write]\nmodel: { decide: big, write: small }\nlimits: { steps: 3 }\n')
    write('mine.yml', 'name: analyst\nsummary: our own\nprompt: You are ours.\n')
    write('notes.txt', 'no role')
    const roles = await loadRoles(folder)
    expect(roles.size).toBe(11)
    expect(roles.get('lawyer')).toMatchObject({ origin: join(folder, 'lawyer.yaml'), overridesShipped: false, profile: { skills: ['docs.*', '-docs.write'], model: { decide: 'big', write: 'small' }, limits: { steps: 3 }, hints: [] } })
    expect(roles.get('analyst')).toMatchObject({ origin: join(folder, 'mine.yml'), overridesShipped: true, profile: { summary: 'our own' } })
  })

  it.each([
    ['an unknown field', 'name: x\nsummary: s\nprompt: p\nskilz: [a]\n', /bad\.yaml:4: skilz: Unrecognized key/],
    ['a bad name', 'summary: s\nname: Bad Name\nprompt: p\n', /bad\.yaml:2: name: is not a role name/],
    ['a bad pattern', 'name: x\nsummary: s\nprompt: p\nskills:\n  - docs.*\n  - Not A Pattern\n', /bad\.yaml:6: skills\.1: is not a pattern/],
    ['a bad limit', 'name: x\nsummary: s\nprompt: p\nlimits:\n  steps: 0\n', /bad\.yaml:5: limits\.steps: /],
    ['no prompt', 'name: x\nsummary: s\n', /bad\.yaml:1: prompt: /],
    ['no map', '- a\n- b\n', /bad\.yaml:1: /],
    ['a pattern that YAML takes for an alias', 'name: x\nsummary: s\nprompt: p\nskills:\n  - *.search\n', /bad\.yaml: Unresolved alias/],
    ['broken YAML', 'name: x\nsummary: "open\n', /bad\.yaml:\d+:\d+: /],
  ])('is refused for %s, with file and line', async (_what, text, message) => {
    write('bad.yaml', text)
    const fault = await faultOf(() => loadRoles(folder))
    expect(fault).toMatchObject({ code: 'bad-request', detail: expect.stringMatching(message) as string })
    expect(fault.next).toBeTruthy()
  })

  it('is refused when two files have the same role, and when it is not there', async () => {
    write('a.yaml', 'name: x\nsummary: s\nprompt: p\n')
    write('b.yaml', 'name: x\nsummary: s\nprompt: p\n')
    expect((await faultOf(() => loadRoles(folder))).detail).toBe(`${join(folder, 'b.yaml')}: the role "x" is in a.yaml already`)
    expect((await faultOf(() => loadRoles(join(folder, 'nowhere')))).detail).toContain('the folder of roles cannot be read')
  })
})

it('a mistyped role is answered with the nearest', async () => {
  const roles = await loadRoles()
  expect(await faultOf(() => roleNamed(roles, 'revewer'))).toMatchObject({ code: 'bad-request', next: expect.stringContaining('did you mean reviewer?') as string })
})

it("a role's digest is that of all the rest, whatever it came with", () => {
  const role = RoleFile.parse({ name: 'x', summary: 's', prompt: 'p' })
  const profile = profileOf(role)
  expect(profileOf({ prompt: 'p', hints: [], summary: 's', name: 'x' }).digest).toBe(profile.digest)
  expect(profileOf({ ...role, prompt: 'q' }).digest).not.toBe(profile.digest)
  expect(verifiedProfile({ ...profile, prompt: 'changed on the way' }).digest).toBe(profileOf({ ...role, prompt: 'changed on the way' }).digest)
})
