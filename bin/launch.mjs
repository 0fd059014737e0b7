// Node 24 from here on: the sources in a clone, the bundle in a published package.
import { existsSync } from 'node:fs'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { endWithLauncher } from './relaunch.js'

endWithLauncher()

// Half of what a start costs is compiling the sources: what was compiled once is kept among the user's caches (or where NODE_COMPILE_CACHE says).
const caches = process.env.XDG_CACHE_HOME || cachesAtHome()
if (process.env.NODE_COMPILE_CACHE === undefined && caches !== undefined) enableCompileCache(join(caches, 'skein', 'compiled'))

/** Nowhere for a user without HOME whom the system does not know, as in a container that runs under any number: nothing is kept then. */
function cachesAtHome() {
  try {
    return join(homedir(), '.cache')
  } catch {
    return undefined
  }
}

const staysUp = ['start', 'node', 'join', 'up'].includes(process.argv[2])
// What a start leaves behind for ever it makes at once, and V8 would grow the space for young objects by it, sixteenfold: 20 to 40 MiB that
// an idle node never gives back. A node that is busy later grows it as ever.
if (staysUp) setFlagsFromString('--semi-space-growth-factor=1')
setTimeout(started, 4_000).unref()

/** A process that stays up for months is through with its start by now. */
function started() {
  setFlagsFromString('--semi-space-growth-factor=2')
  // The compile cache is written when a process ends, otherwise.
  flushCompileCache()
}

// A reader that has seen enough (`skein nodes | head`) ends a command; a node goes on without its reader.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error
    if (!staysUp) process.exit()
  })
}

// The simulator is a program of its own: a node never loads it.
const asksForHelp = process.argv[2] === 'help'
const isSim = process.argv[asksForHelp ? 3 : 2] === 'sim'
const source = isSim ? 'scripts/sim.ts' : 'node/cli/main.ts'
const bundle = isSim ? 'dist/sim.js' : 'dist/skein.js'

async function launch() {
  const entry = [source, bundle].map((path) => new URL(`../${path}`, import.meta.url)).find((url) => existsSync(url))
  if (entry === undefined) {
    console.error(`skein: neither the sources (${source}) nor a build (${bundle}) are here; install the package again, or run \`npm run build\` in a clone`)
    return 2
  }
  const { main } = await import(entry.href)
  if (isSim) return await main(asksForHelp ? [...process.argv.slice(4), '--help'] : process.argv.slice(3))
  return await main(process.argv.slice(2))
}

launch().then(
  (code) => {
    process.exitCode = code
  },
  (error) => {
    console.error(error)
    process.exitCode = 1
  },
)
