/**
 * Sums up profiles of processor time (`node --cpu-prof`): the functions that took most of it by themselves, and those below which most of it went.
 *
 * `npm run bench:profile -- [--most 25] [--from SECONDS] [--to SECONDS] FILE.cpuprofile …`. What was idle does not count; `--from` leaves the start out.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import { type CpuProfile, shareOfFiles, shareOfFunctions } from './profile/shares.ts'
import { tableHead, tableRow } from './table.ts'

const { values: flags, positionals } = parseArgs({ allowPositionals: true, options: { most: { type: 'string', default: '25' }, from: { type: 'string', default: '0' }, to: { type: 'string', default: 'Infinity' } } })
if (positionals.length === 0) throw new Error('name at least one .cpuprofile')

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
for (const file of positionals) {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile
  const within = { fromS: Number(flags.from), toS: Number(flags.to) }
  const { busyMs, functions } = shareOfFunctions(profile, within)
  console.log(`${basename(file)}: ${Math.round(busyMs).toLocaleString('en-US')} ms busy\n\n${tableHead(['by itself', 'with what it calls', 'function', 'where'])}`)
  const most = Number(flags.most)
  for (const { name, where, self, total } of functions.slice(0, most)) console.log(tableRow([percent(self), percent(total), name, where]))
  console.log(`\n${tableHead(['with what it calls', 'by itself', 'function', 'where'])}`)
  for (const { name, where, self, total } of [...functions].sort((left, right) => right.total - left.total).slice(0, most)) console.log(tableRow([percent(total), percent(self), name, where]))
  console.log(`\n${tableHead(['by itself', 'file or package'])}`)
  for (const { file: path, self } of shareOfFiles(functions).slice(0, most)) console.log(tableRow([percent(self), path]))
  console.log()
}
