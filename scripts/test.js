// `npm test`: works on Node ≥ 20, runs the checks under Node 24.
import { fileURLToPath } from 'node:url'
import { endWithLauncher, isNewEnough, relaunch } from '../bin/relaunch.js'

if (isNewEnough()) {
  endWithLauncher()
  await import('./checks.ts')
} else {
  relaunch(fileURLToPath(import.meta.url), process.argv.slice(2))
}
