/**
 * How many messages actors of one process tell one another, beside other actors for JavaScript. Printed, not asserted.
 *
 * `npm run bench:actors [-- --runs 5] [--messages 1000000] [--asks 100000] [--peers FOLDER] [--alone] [--json]`. `--alone`: without those that have to be installed.
 */
import { parseArgs } from 'node:util'
import { type ActorContender, nactActors, skeinActors, xstateActors } from './actors/contenders.ts'
import { type Figure, type Yardstick, medianOf, numberOf, reportOf } from './figure.ts'
import { defaultPeersFolder, installPackages, peerVersions, requireFrom } from './peers/folder.ts'

const { values: flags } = parseArgs({
  options: {
    runs: { type: 'string', default: '5' }, messages: { type: 'string', default: '1000000' }, asks: { type: 'string', default: '100000' },
    peers: { type: 'string', default: defaultPeersFolder() }, alone: { type: 'boolean', default: false }, json: { type: 'boolean', default: false },
  },
})
const runs = numberOf('runs', flags.runs)
const messages = numberOf('messages', flags.messages)
const asks = numberOf('asks', flags.asks)
/** Told in one turn of the teller. */
const batch = 1_000

interface Rates { readonly tells: number[]; readonly asks: number[] }

/** Round after round of all, so that a machine that slows down slows all of them. */
async function measure(contenders: readonly ActorContender[]): Promise<ReadonlyMap<string, Rates>> {
  const rates = new Map(contenders.map(({ name }): [string, Rates] => [name, { tells: [], asks: [] }]))
  for (let run = 0; run <= runs; run++) {
    for (const contender of contenders) {
      console.error(run === 0 ? `${contender.name}: warming up …` : `${contender.name}: run ${run} of ${runs} …`)
      const perSecond = async (count: number, work: () => Promise<void>): Promise<number> => {
        const startedAtMs = performance.now()
        await work()
        return count / ((performance.now() - startedAtMs) / 1_000)
      }
      const told = await perSecond(messages, () => contender.tell(messages, batch))
      const { ask } = contender
      const asked = ask === undefined ? undefined : await perSecond(asks, async () => {
        for (let done = 0; done < asks; done++) await ask()
      })
      if (run === 0) continue
      rates.get(contender.name)?.tells.push(told)
      if (asked !== undefined) rates.get(contender.name)?.asks.push(asked)
    }
  }
  return rates
}

await reportOf('actors', flags.json, async ({ figures, notes, versions }) => {
  const contenders = [skeinActors()]
  const refused = flags.alone ? undefined : await installPackages(flags.peers, (text) => console.error(`${text} …`))
  if (refused !== undefined) notes.push(refused)
  if (!flags.alone && refused === undefined) {
    const load = requireFrom(flags.peers)
    contenders.push(nactActors(load), xstateActors(load))
    for (const name of ['nact', 'xstate']) versions[name] = peerVersions.npm[name] ?? ''
    notes.push('xstate runs the other actor\'s transition before `send` returns, without a mailbox; it has no ask.')
  }
  const rates = await measure(contenders)
  const figureOf = (name: string, what: string, of: 'tells' | 'asks'): Figure[] => {
    const values = rates.get(name)?.[of] ?? []
    const against = name !== 'Skein' ? [] : contenders.slice(1).flatMap((other): Yardstick[] => {
      const theirs = rates.get(other.name)?.[of] ?? []
      return theirs.length === 0 ? [] : [{ what: other.name, value: medianOf(theirs) }]
    })
    return values.length === 0 ? [] : [{ name: `${name}: ${what}`, unit: 'per s', values, ...(against.length === 0 ? {} : { against }) }]
  }
  for (const { name } of contenders) figures.push(...figureOf(name, `an actor tells another, ${batch.toLocaleString('en-US')} a turn`, 'tells'))
  for (const { name } of contenders) figures.push(...figureOf(name, 'an actor is asked, one question at a time', 'asks'))
  for (const contender of contenders) contender.close()
})
