import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { runTool } from '../../../node/hardware/run-tool.ts'
import { escapeXml, renderLaunchdPlist } from '../../../node/service/launchd-plist.ts'
import { installService, removeService } from '../../../node/service/service.ts'
import { quoteForSystemd, renderSystemdUnit } from '../../../node/service/systemd-unit.ts'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

/** A home whose path is as awkward as paths get, and a PATH in which only recording stand-ins for the managers' tools are found. */
function house(scripts: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'skein-service-'))
  folders.push(folder)
  const home = join(folder, 'home of "Eve" & 50% $HOME')
  const bin = join(folder, 'bin')
  const record = join(folder, 'record')
  mkdirSync(home)
  mkdirSync(bin)
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho "${name} $*" >> '${record}'\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const asked = (): string[] => (existsSync(record) ? readFileSync(record, 'utf8').trim().split('\n') : [])
  const options = { home, env: { PATH: bin, HOME: home }, binPath: join(home, 'skein.js'), dataDir: join(home, 'data'), userId: 501 } as const
  return { home, bin, asked, options, unit: join(home, '.config/systemd/user/skein.service'), plist: join(home, 'Library/LaunchAgents/dev.skein.node.plist') }
}

const program = { nodePath: '/usr/bin/node', binPath: '/opt/skein/bin/skein.js', args: ['node', 'start', '--data', '/var/data'], env: { PATH: '/usr/bin:/bin' }, stopTimeoutMs: 30_000 }

describe('the systemd unit', () => {
  test('is what it is', () => {
    const lines = renderSystemdUnit(program).split('\n')
    expect(lines).toContain('ExecStart="/usr/bin/node" "/opt/skein/bin/skein.js" "node" "start" "--data" "/var/data"')
    for (const line of ['Environment="PATH=/usr/bin:/bin"', 'Restart=on-failure', 'KillSignal=SIGTERM', 'TimeoutStopSec=30', 'WantedBy=default.target']) expect(lines).toContain(line)
  })

  test('percent signs, quotes, backslashes, spaces and dollars keep their meaning', () => {
    expect(quoteForSystemd('a b%c"d\\e')).toBe('"a b%%c\\"d\\\\e"')
    const line = renderSystemdUnit({ ...program, nodePath: '/opt/$x/100% node', args: ['--data', '/$HOME/%h'] }).split('\n').find((text) => text.startsWith('ExecStart='))
    expect(line).toBe('ExecStart="/opt/$x/100%% node" "/opt/skein/bin/skein.js" "--data" "/$$HOME/%%h"')
  })

  test('a line break is refused', () => {
    expect(() => renderSystemdUnit({ ...program, binPath: '/opt/a\nExecStartPre=/bin/evil' })).toThrow(MeshError)
  })

  test('a Node whose path systemd would refuse is started by a shell', () => {
    const line = renderSystemdUnit({ ...program, nodePath: '/opt/"new"/node', args: ['--data', '/d'] }).split('\n').find((text) => text.startsWith('ExecStart='))
    expect(line).toBe('ExecStart="/bin/sh" "-c" "exec \\"$$@\\"" "skein" "/opt/\\"new\\"/node" "/opt/skein/bin/skein.js" "--data" "/d"')
  })

  test.each(['node', 'node 100% $HOME ;&', 'node "new"', "node's", 'node \\ é'])('systemd itself accepts it, with a Node called %j', async (name) => {
    const { options, unit, home, bin } = house()
    const verify = (path: string) => runTool('systemd-analyze', ['verify', '--man=no', path], { timeoutMs: 60_000, outputBytesMax: 1024 * 1024 })
    const nodePath = join(bin, name)
    symlinkSync(process.execPath, nodePath)
    await installService({ ...options, platform: 'linux', nodePath, dataDir: join(home, name) })
    const verified = await verify(unit)
    if (verified.kind === 'missing') {
      console.log('systemd-analyze is not installed: the unit was not verified by systemd')
      return
    }
    expect(verified).toMatchObject({ kind: 'output' })
    // That the check can fail at all, and looks at the program:
    const broken = join(bin, 'broken.service')
    writeFileSync(broken, readFileSync(unit, 'utf8').replace('ExecStart="', 'ExecStart="/nowhere'))
    expect(await verify(broken)).toMatchObject({ kind: 'failed' })
  })
})

describe('the launchd agent', () => {
  test('is what it is, escaped', () => {
    const text = renderLaunchdPlist({ ...program, args: ['--data', '/Users/a & b/<x>"\''] }, '/Users/a & b/skein.log')
    expect(text).toContain('    <string>/Users/a &amp; b/&lt;x&gt;&quot;&apos;</string>')
    expect(text).toContain('<key>StandardOutPath</key>\n  <string>/Users/a &amp; b/skein.log</string>')
    expect(text).toContain('<key>Label</key>\n  <string>dev.skein.node</string>')
    expect(text).toContain('<key>ExitTimeOut</key>\n  <integer>30</integer>')
    expect(text).toContain('<key>EnvironmentVariables</key>\n  <dict>\n    <key>PATH</key>\n    <string>/usr/bin:/bin</string>\n  </dict>')
    expect(renderLaunchdPlist({ ...program, env: {} }, '/x')).not.toContain('EnvironmentVariables')
  })

  test('control characters are refused: XML cannot hold them', () => {
    expect(() => escapeXml('a\u0001')).toThrow(/control characters/)
  })
})

describe('install and remove with systemd', () => {
  test('writes the unit, reloads, enables and starts; then restarts; then stops and deletes', async () => {
    const { options, unit, asked, home } = house({ systemctl: 'exit 0' })
    const installed = await installService({ ...options, platform: 'linux', args: ['--name', 'goose one'] })
    expect(installed).toMatchObject({ done: true, files: [{ path: unit, change: 'written' }] })
    expect(installed.commands).toEqual(['systemctl --user daemon-reload', 'systemctl --user enable skein.service', 'systemctl --user start skein.service'])
    expect(asked()).toEqual(installed.commands)
    expect(installed.notes.join('\n')).toContain('loginctl enable-linger')
    const text = readFileSync(unit, 'utf8')
    expect(text).toBe(installed.files[0]?.text)
    expect(text).toContain('home of \\"Eve\\" & 50%% $$HOME/skein.js" "node" "start" "--data" ')
    expect(text).toContain(' "--name" "goose one"')
    expect(statSync(unit).mode & 0o077).toBe(0)

    const again = await installService({ ...options, platform: 'linux', args: ['--name', 'goose one'] })
    expect(again).toMatchObject({ done: true, files: [{ change: 'unchanged' }] })
    expect(asked().slice(3)).toEqual(['systemctl --user daemon-reload', 'systemctl --user enable skein.service', 'systemctl --user restart skein.service'])

    const removed = await removeService({ home, env: options.env, platform: 'linux' })
    expect(removed).toMatchObject({ done: true, files: [{ path: unit, change: 'removed' }], commands: ['systemctl --user disable --now skein.service', 'systemctl --user daemon-reload'] })
    expect(asked().slice(6)).toEqual(removed.commands)
    expect(existsSync(unit)).toBe(false)

    expect(await removeService({ home, env: options.env, platform: 'linux' })).toMatchObject({ done: true, files: [], commands: [] })
    expect(asked()).toHaveLength(8)
  })

  test('a dry run changes nothing and shows everything', async () => {
    const { options, unit, asked, home } = house({ systemctl: 'exit 0' })
    const shown = await installService({ ...options, platform: 'linux', dryRun: true })
    expect(shown).toMatchObject({ done: false, files: [{ path: unit, change: 'written' }] })
    expect(shown.files[0]?.text).toContain('[Service]')
    expect(shown.commands).toHaveLength(3)
    expect(existsSync(join(home, '.config'))).toBe(false)

    await installService({ ...options, platform: 'linux' })
    const before = asked()
    expect(await removeService({ home, env: options.env, platform: 'linux', dryRun: true })).toMatchObject({ files: [{ change: 'removed' }], done: false })
    expect(existsSync(unit)).toBe(true)
    expect(asked()).toEqual(before)
  })

  test('without systemctl the unit is written and the commands are left to the person', async () => {
    const { options, unit, home } = house()
    const installed = await installService({ ...options, platform: 'linux' })
    expect(installed.done).toBe(false)
    expect(installed.notes[0]).toMatch(/systemctl is not installed.*systemctl --user daemon-reload && systemctl --user enable skein.service && systemctl --user start skein.service/)
    expect(existsSync(unit)).toBe(true)

    mkdirSync(join(unit, '../default.target.wants'))
    symlinkSync(unit, join(unit, '../default.target.wants/skein.service'))
    const removed = await removeService({ home, env: options.env, platform: 'linux' })
    expect(removed).toMatchObject({ done: false, commands: ['systemctl --user stop skein.service', 'systemctl --user daemon-reload'] })
    expect(existsSync(unit)).toBe(false)
    expect(existsSync(join(unit, '../default.target.wants/skein.service'))).toBe(false)
  })

  test('a failing command says why, and only what is left is to be run by hand', async () => {
    const { options, asked } = house({ systemctl: 'case "$2" in enable) echo "Failed to connect to bus: No medium found" >&2; exit 1;; esac' })
    const installed = await installService({ ...options, platform: 'linux' })
    expect(installed).toMatchObject({ done: false, commands: ['systemctl --user enable skein.service', 'systemctl --user start skein.service'] })
    expect(installed.notes[0]).toContain('Failed to connect to bus: No medium found')
    expect(asked()).toHaveLength(2)
  })
})

describe('install and remove with launchd', () => {
  test('bootstraps the agent, replaces it, and boots it out', async () => {
    const { options, plist, asked, home } = house({ launchctl: 'exit 0' })
    const installed = await installService({ ...options, platform: 'darwin' })
    expect(installed).toMatchObject({ done: true, files: [{ path: plist, change: 'written' }] })
    expect(asked()).toEqual(['launchctl enable gui/501/dev.skein.node', `launchctl bootstrap gui/501 ${plist}`])
    expect(installed.commands[1]).toBe(`launchctl bootstrap gui/501 '${plist}'`)
    expect(existsSync(join(home, 'Library/Logs'))).toBe(true)
    expect(readFileSync(plist, 'utf8')).toContain('home of &quot;Eve&quot; &amp; 50% $HOME/skein.js</string>')

    await installService({ ...options, platform: 'darwin' })
    expect(asked()[2]).toBe('launchctl bootout gui/501/dev.skein.node')
    const removed = await removeService({ ...options, platform: 'darwin' })
    expect(removed).toMatchObject({ done: true, commands: ['launchctl bootout gui/501/dev.skein.node'] })
    expect(existsSync(plist)).toBe(false)
  })

  test('an agent that was not loaded is no obstacle; one that is still unloading is tried again', async () => {
    const { options, asked } = house({
      launchctl: 'case "$1" in bootout) exit 3;; bootstrap) [ "$(grep -c bootstrap "$(dirname "$0")/../record")" = 2 ] && exit 5;; esac; exit 0',
    })
    await installService({ ...options, env: { ...options.env, PATH: `${options.env.PATH}${delimiter}/usr/bin${delimiter}/bin` }, platform: 'darwin' })
    const again = await installService({ ...options, env: { ...options.env, PATH: `${options.env.PATH}${delimiter}/usr/bin${delimiter}/bin` }, platform: 'darwin' })
    expect(again.done).toBe(true)
    expect(asked().filter((line) => line.includes('bootstrap'))).toHaveLength(3)
  })
})

describe('refusals', () => {
  test('another platform', async () => {
    const { options } = house()
    for (const platform of ['win32', 'freebsd'] as const) {
      const thrown: unknown = await installService({ ...options, platform }).catch((error: unknown) => error)
      expect(thrown).toBeInstanceOf(MeshError)
      expect((thrown as MeshError).fault).toMatchObject({ code: 'not-available' })
      expect((thrown as MeshError).fault.next).toBeTruthy()
      await expect(removeService({ platform, home: homedir() })).rejects.toMatchObject({ fault: { code: 'not-available' } })
    }
  })

  test('paths that are not absolute', async () => {
    const { options } = house()
    for (const wrong of [{ binPath: 'skein.js' }, { dataDir: './data' }, { nodePath: 'node' }, { home: '' }]) {
      await expect(installService({ ...options, platform: 'linux', ...wrong })).rejects.toMatchObject({ fault: { code: 'bad-request' } })
    }
  })

  test('a folder that cannot be written', async () => {
    const { options, home } = house({ systemctl: 'exit 0' })
    writeFileSync(join(home, '.config'), 'a file where the folder should be')
    await expect(installService({ ...options, platform: 'linux' })).rejects.toMatchObject({ fault: { code: 'storage-failed' } })
  })

  test('an installation in npx\'s cache is pointed out', async () => {
    const { options } = house()
    const installed = await installService({ ...options, binPath: '/home/eve/.npm/_npx/0a1b/node_modules/skein/bin/skein.js', platform: 'linux', dryRun: true })
    expect(installed.notes.join('\n')).toContain('npm install --global skein')
  })
})
