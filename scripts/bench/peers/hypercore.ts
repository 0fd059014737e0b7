/** Hypercore: a log of one process, replicated live to two others over TCP. */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { requireFrom } from './folder.ts'

interface Core {
  ready(): Promise<void>
  readonly key: Buffer
  readonly length: number
  readonly contiguousLength: number
  append(blocks: readonly Buffer[]): Promise<unknown>
  download(range: { start: number; end: number }): unknown
  replicate(isInitiator: boolean): NodeJS.ReadWriteStream
  on(event: 'download', listener: () => void): void
  close(): Promise<void>
}
type Hypercore = new (storage: string, key?: Buffer) => Core

interface ReplicaRole { readonly folder: string; readonly storage: string; readonly keyHex: string; readonly port: number }

const blockBytes = 200
export const batchBlocks = 100
const replicas = 2

/** Appends so many blocks in batches, one batch after the other. @returns seconds until both replicas have every block. */
export async function replicateLive(peersFolder: string, blocks: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'skein-bench-hypercore-'))
  const Hypercore = requireFrom(peersFolder)<Hypercore>('hypercore')
  const core = new Hypercore(join(folder, 'writer'))
  await core.ready()
  const server = createServer((socket) => {
    const stream = core.replicate(false)
    // A replica that has ended closes its side first.
    for (const end of [socket, stream]) end.on('error', () => undefined)
    socket.pipe(stream).pipe(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const children = Array.from({ length: replicas }, (_, index) => {
    const role: ReplicaRole = { folder: peersFolder, storage: join(folder, `replica-${index + 1}`), keyHex: core.key.toString('hex'), port: (server.address() as AddressInfo).port }
    return fork(fileURLToPath(import.meta.url), [JSON.stringify(role), String(blocks + batchBlocks)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  })
  try {
    // A first batch opens the files and the streams on all sides, and compiles the code.
    const batch = Array.from({ length: batchBlocks }, () => Buffer.alloc(blockBytes, 7))
    const begun = Promise.all(children.map((child) => said(child, 'begun')))
    const done = Promise.all(children.map((child) => said(child, 'done')))
    await core.append(batch)
    await begun
    const startedAtMs = performance.now()
    for (let appended = 0; appended < blocks; appended += batchBlocks) await core.append(batch)
    await done
    return (performance.now() - startedAtMs) / 1_000
  } finally {
    await Promise.all(children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const over = once(child, 'exit')
      child.kill('SIGKILL')
      await over
    }))
    server.close()
    await core.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

function said(child: ReturnType<typeof fork>, what: 'begun' | 'done'): Promise<void> {
  return new Promise((resolve, reject) => {
    child.on('message', (message) => {
      if (message === what) resolve()
    })
    child.once('exit', (code) => reject(new Error(`a replica ended with ${String(code)}`)))
  })
}

/** A process that holds a copy. */
async function replicate({ folder, storage, keyHex, port }: ReplicaRole, blocks: number): Promise<void> {
  const Hypercore = requireFrom(folder)<Hypercore>('hypercore')
  const core = new Hypercore(storage, Buffer.from(keyHex, 'hex'))
  await core.ready()
  const socket = connect(port, '127.0.0.1')
  socket.pipe(core.replicate(true)).pipe(socket)
  core.download({ start: 0, end: -1 })
  let told = 0
  core.on('download', () => {
    if (told === 0 && core.contiguousLength >= batchBlocks) told = 1 + Number(process.send?.('begun'))
    if (core.contiguousLength >= blocks) process.send?.('done')
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url) && process.send !== undefined) {
  process.once('disconnect', () => process.exit())
  await replicate(JSON.parse(process.argv[2] ?? '{}') as ReplicaRole, Number(process.argv[3]))
}
