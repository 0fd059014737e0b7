// Node 24 from here on: the sources in a clone, the bundle in a published package.
import { existsSync } from 'node:fs'
import { endWithLauncher } from './relaunch.js'

endWithLauncher()

// A reader that has seen enough (`skein nodes | head`) ends a command; a node goes on without its reader.
const staysUp = ['start', 'node', 'join', 'up'].includes(process.argv[2])
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error) => {
    if (error.code !== 'EPIPE') throw error
    if (!staysUp) process.exit()
  })
}

const source = new URL('../node/cli/main.ts', import.meta.url)
const bundle = new URL('../dist/skein.js', import.meta.url)

async function launch() {
  const entry = existsSync(source) ? source : bundle
  if (!existsSync(entry)) {
    console.error('skein: neither the sources (node/cli/main.ts) nor a build (dist/skein.js) are here; install the package again, or run `npm run build` in a clone')
    return 2
  }
  const { main } = await import(entry.href)
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
