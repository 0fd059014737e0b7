/** The shim itself: what was synced survives kill -9, what was not is lost, and the process sees no difference. */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Level } from 'level'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type UnsyncedDisk, compileShim, createUnsyncedDisk } from '../../scripts/chaos/unsynced-writes.ts'
import { lacksProgram, named } from '../requirements.ts'

const lack = process.platform === 'linux' ? lacksProgram('gcc') : 'LD_PRELOAD is for Linux'
const level = new URL('../../node_modules/level/index.js', import.meta.url).href

describe.skipIf(lack)(named('a disk that keeps only what was synced', lack), () => {
  let library: string
  let folder: string
  let data: string
  let disk: UnsyncedDisk
  const home = mkdtempSync(join(tmpdir(), 'skein-shim-'))
  beforeAll(async () => {
    library = await compileShim(home)
    return () => rmSync(home, { recursive: true, force: true })
  })
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'skein-unsynced-'))
    data = join(folder, 'data')
    mkdirSync(data)
    disk = createUnsyncedDisk(library, data, join(folder, 'control'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  /** Runs the program's text; it is killed when it prints `kill`. */
  async function run(text: string): Promise<string> {
    const program = join(folder, 'program.mjs')
    writeFileSync(program, `import * as fs from 'node:fs'\nconst arm = (on) => { const file = fs.openSync(${JSON.stringify(join(folder, 'control'))}, 'r+'); fs.writeSync(file, Uint8Array.of(on ? 1 : 0), 0, 1, 0); fs.closeSync(file) }\nconst data = ${JSON.stringify(data)}\nconst wait = () => setInterval(() => {}, 1000)\n${text}`)
    const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], ...disk.env } })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk
      if (out.endsWith('kill\n')) child.kill('SIGKILL')
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => (err += chunk))
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => child.once('close', (...how) => resolve(how)))
    if (code !== 0 && signal !== 'SIGKILL') throw new Error(err)
    return out
  }

  it('LevelDB: synced records survive the kill, others do not, and were readable before it', async () => {
    const out = await run(`
      import { Level } from ${JSON.stringify(level)}
      const level = new Level(data + '/store')
      await level.open()
      arm(true)
      await level.batch(Array.from({ length: 500 }, (_, i) => ({ type: 'put', key: 'synced' + i, value: 'x'.repeat(300) })), { sync: true })
      await level.batch(Array.from({ length: 500 }, (_, i) => ({ type: 'put', key: 'unsynced' + i, value: 'x'.repeat(300) })), { sync: false })
      console.log((await level.keys().all()).length)
      console.log('kill'); wait()`)
    expect(out).toBe('1000\nkill\n')
    expect(disk.pendingBytes()).toBeGreaterThan(500 * 300)
    const left = new Level(join(data, 'store'))
    const keys = await left.keys().all()
    await left.close()
    expect(keys.filter((key) => key.startsWith('synced')).length).toBe(500)
    expect(keys.filter((key) => key.startsWith('unsynced'))).toEqual([])
  })

  it('loses nothing while it is not armed, nor at a regular end', async () => {
    await run(`fs.writeFileSync(data + '/a', 'kept'); console.log('kill'); wait()`)
    expect(readFileSync(join(data, 'a'), 'utf8')).toBe('kept')
    await run(`arm(true); fs.writeFileSync(data + '/b', 'kept too'); fs.writeFileSync(data + '/c', ''); fs.ftruncateSync(fs.openSync(data + '/c', 'r+'), 7)`)
    expect(readFileSync(join(data, 'b'), 'utf8')).toBe('kept too')
    expect(statSync(join(data, 'c')).size).toBe(7)
    await run(`arm(true); fs.writeFileSync(data + '/d', 'kept'); process.exit(0)`)
    expect(readFileSync(join(data, 'd'), 'utf8')).toBe('kept')
  })

  it('shows the process what it wrote, by every way of reading', async () => {
    const out = await run(`
      const path = data + '/file'
      fs.writeFileSync(path, 'on the disk;')
      arm(true)
      fs.appendFileSync(path, 'appended;')
      const file = fs.openSync(path, 'r+')
      fs.writeSync(file, 'ON', 0)
      fs.writevSync(file, [Buffer.from('<'), Buffer.from('>')], 2)
      console.log(fs.readFileSync(path, 'utf8'))
      console.log(fs.statSync(path).size, fs.fstatSync(file).size, (await fs.promises.stat(path)).size)
      const part = Buffer.alloc(8); console.log(fs.readSync(file, part, 0, 8, 12), part.toString())
      const two = [Buffer.alloc(3), Buffer.alloc(3)]; fs.readvSync(file, two, 0); console.log(two.join('|'))
      console.log((await fs.promises.readFile(path)).length)
      fs.ftruncateSync(file, 5); console.log(fs.readFileSync(path, 'utf8'))
      fs.renameSync(path, path + '2'); console.log(fs.readFileSync(path + '2', 'utf8'))
      for await (const text of fs.createReadStream(path + '2', 'utf8')) console.log(text)`)
    expect(out.trim().split('\n')).toEqual(['ON<>he disk;appended;', '21 21 21', '8 appended', 'ON<|>he', '21', 'ON<>h', 'ON<>h', 'ON<>h'])
  })

  it.each([
    ['an append', `fs.appendFileSync(path, ' more')`, 'old'],
    ['an overwrite', `fs.writeSync(fs.openSync(path, 'r+'), 'NEW')`, 'old'],
    ['a file that was closed', `const file = fs.openSync(path, 'a'); fs.writeSync(file, ' more'); fs.closeSync(file)`, 'old'],
    ['a write before the last sync', `const file = fs.openSync(path, 'a'); fs.writeSync(file, '1'); fs.fdatasyncSync(file); fs.writeSync(file, '2')`, 'old1'],
    ['a write through O_DSYNC', `fs.writeSync(fs.openSync(path, fs.constants.O_WRONLY | fs.constants.O_APPEND | fs.constants.O_DSYNC), '3')`, 'old3'],
    ['a file renamed into place without a sync', `fs.writeFileSync(path + '.new', 'new'); fs.renameSync(path + '.new', path)`, ''],
    ['a file renamed into place after its sync', `const file = fs.openSync(path + '.new', 'w'); fs.writeSync(file, 'new'); fs.fsyncSync(file); fs.closeSync(file); fs.renameSync(path + '.new', path)`, 'new'],
    ['another handle\'s sync', `fs.appendFileSync(path, '4'); fs.fsyncSync(fs.openSync(path, 'r'))`, 'old4'],
  ])('after a kill: %s', async (_title, change, left) => {
    await run(`const path = data + '/file'; fs.writeFileSync(path, 'old'); arm(true); ${change}; console.log('kill'); wait()`)
    expect(readFileSync(join(data, 'file'), 'utf8')).toBe(left)
  })
})
