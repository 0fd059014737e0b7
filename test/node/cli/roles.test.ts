import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { say } from './cli-fixture.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'skein-roles-'))
})
afterEach(() => {
  rmSync(home, { recursive: true, force: true })
})

const world = (): { cwd: string; env: Record<string, string> } => ({ cwd: home, env: { XDG_DATA_HOME: join(home, 'data'), HOME: home } })

describe('skein roles', () => {
  it('lists the shipped roles without a node', async () => {
    const said = await say(['roles', 'list'], world())
    expect(said).toMatchObject({ code: 0, err: '' })
    for (const name of ['analyst', 'researcher', 'backend', 'frontend', 'test', 'devops', 'docs', 'refactorer', 'reviewer', 'fixer']) expect(said.out).toMatch(new RegExp(`^${name} +shipped +\\S`, 'm'))
    const json = JSON.parse((await say(['roles', 'list', '--json'], world())).out) as { name: string; origin: string; digest: string; prompt: string }[]
    expect(json).toHaveLength(10)
    expect(json[0]).toMatchObject({ name: 'analyst', origin: 'shipped', overridesShipped: false, digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string, prompt: expect.stringContaining('You are an analyst') as string })
  })

  it('shows one, in the form of its file', async () => {
    const said = await say(['roles', 'show', 'reviewer'], world())
    expect(said.code).toBe(0)
    expect(said.out).toMatch(/^# shipped; digest [0-9a-f]{12}\nname: reviewer\n/)
    expect(said.out).toContain('You are a reviewer')
    const again = join(home, 'again')
    writeFileSync(`${again}.yaml`, said.out)
    const role = JSON.parse((await say(['roles', 'show', 'reviewer', '--json'], world())).out) as { digest: string }
    const copied = JSON.parse((await say(['roles', 'show', 'reviewer', '--json', '--roles', home], world())).out) as { digest: string; origin: string; overridesShipped: boolean }
    expect(copied).toMatchObject({ digest: role.digest, origin: `${again}.yaml`, overridesShipped: true })
  })

  it('takes more from the folder of the configuration, and says which replace shipped ones', async () => {
    writeFileSync(join(home, 'lawyer.yaml'), 'name: lawyer\nsummary: reads contracts\nprompt: You read contracts.\n')
    writeFileSync(join(home, 'own.yaml'), 'name: analyst\nsummary: our own\nprompt: You are ours.\n')
    const conf = mkdtempSync(join(home, 'conf-'))
    writeFileSync(join(conf, 'skein.config.yaml'), 'roles: ..\n')
    const said = await say(['roles', 'list'], { ...world(), cwd: conf })
    expect(said.err).toBe('')
    expect(said.out).toMatch(/^lawyer +\S+lawyer\.yaml +reads contracts$/m)
    expect(said.out).toMatch(/^analyst +\S+own\.yaml \(instead of the shipped one\) +our own$/m)
  })

  it('says what is wrong with a file, and which role was meant', async () => {
    expect(await say(['roles', 'show', 'analist'], world())).toMatchObject({ code: 2, out: '', err: expect.stringContaining('did you mean analyst?') as string })
    writeFileSync(join(home, 'bad.yaml'), 'name: x\nsummary: s\npromt: p\n')
    const bad = await say(['roles', 'list', '--roles', home, '--json'], world())
    expect(bad).toMatchObject({ code: 2, out: '' })
    expect(JSON.parse(bad.err)).toMatchObject({ error: { code: 'bad-request', detail: expect.stringMatching(/bad\.yaml:\d: /) as string } })
  })
})
