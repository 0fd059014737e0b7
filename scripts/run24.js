// Runs a TypeScript file under Node 24, whatever Node this is: `node scripts/run24.js scripts/bench/startup.ts --runs 5`.
import { resolve } from 'node:path'
import { relaunch } from '../bin/relaunch.js'

const [file, ...argv] = process.argv.slice(2)
if (file === undefined) {
  console.error('usage: node scripts/run24.js FILE.ts [ARGUMENT…]')
  process.exitCode = 2
} else {
  relaunch(resolve(file), argv, ['--import', new URL('./end-with-launcher.js', import.meta.url).href])
}
