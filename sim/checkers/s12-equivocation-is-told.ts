/**
 * S12: who signs two different adverts under one sequence is found out by every honest node that hears both, and nobody else is
 * accused. A directory compares with the newest advert it keeps, so both must come while the first is that: with nothing of that
 * peer in between, and with no fault about that could have cost the connection, at which a directory forgets.
 */
import { canonicalJson, digestOfText } from '../../protocols/kernel/hashing.ts'
import type { PeerId } from '../../protocols/kernel/ids.ts'
import { limits } from '../../protocols/kernel/limits.ts'
import type { Checker, History, HistoryRecord, Violation } from '../history/history.ts'
import { indexHistory, isHonest, type HistoryIndex } from '../history/index-history.ts'

const promise = 'S12'

/** The two come within this, and no fault was near them for `calmMs` before. A connection that broke is noticed in less. */
const togetherMs = 5_000
const calmMs = 30_000
/** So many pairs published in calm and not one of them noticed by anybody is no bad luck of gossip. */
const pairsUnnoticedMax = 3
/** A quarantine is as long as an advert lives, on clocks that may run a fifth too fast. */
const quarantineMs = limits.advertTtlMs * 1.25

export const equivocationIsTold: Checker = {
  promise,
  says: 'two different adverts under one sequence are detected, and no honest node is accused',
  check(history) {
    const index = indexHistory(history)
    return [...falseAccusations(history, index), ...heardAndNotTold(history, index), ...neverNoticed(history, index)]
  },
}

function falseAccusations(history: History, index: HistoryIndex): Violation[] {
  return history.records.flatMap((record): Violation[] => {
    if (record.type !== 'equivocation-told' || !isHonest(index, record.node)) return []
    const accused = index.nodeOf.get(record.of)
    if (accused === undefined || index.lives.get(accused)?.some((life) => life.started.conduct === 'equivocates') === true) return []
    return [{ promise, atMs: record.atMs, detail: `${record.node} says that ${accused} signed two adverts under sequence ${record.sequence}: ${accused} does not do that` }]
  })
}

/** Instants at which something went wrong or was mended: near them a connection may have been lost. */
function isCalm(unrest: readonly number[], fromMs: number, toMs: number): boolean {
  return !unrest.some((atMs) => atMs >= fromMs && atMs <= toMs)
}

function unrestOf(history: History): number[] {
  const types = new Set(['fault', 'healed', 'started', 'stopped', 'paused', 'resumed', 'all-healed'])
  return history.records.filter((record) => types.has(record.type)).map((record) => record.atMs)
}

function heardAndNotTold(history: History, index: HistoryIndex): Violation[] {
  const violations: Violation[] = []
  const unrest = unrestOf(history)
  const newest = new Map<string, { sequence: number; digest: string; atMs: number }>()
  const told = new Map<string, number>()
  const due: { key: string; atMs: number; node: string; of: PeerId; sequence: number }[] = []
  for (const record of history.records) {
    if (record.type === 'equivocation-told') {
      told.set(`${record.node} ${record.of}`, record.atMs)
      continue
    }
    if (record.type !== 'advert-heard' || !isHonest(index, record.node)) continue
    const key = `${record.node} ${record.of}`
    const before = newest.get(key)
    newest.set(key, { sequence: record.sequence, digest: record.digest, atMs: record.atMs })
    if (before?.sequence !== record.sequence || before.digest === record.digest || record.atMs - before.atMs > togetherMs) continue
    const lastToldMs = told.get(key)
    // While it is quarantined nothing of it is looked at.
    if ((lastToldMs !== undefined && record.atMs - lastToldMs <= quarantineMs) || !isCalm(unrest, before.atMs - calmMs, record.atMs)) continue
    due.push({ key, atMs: record.atMs, node: record.node, of: record.of, sequence: record.sequence })
  }
  const tellings = history.records.filter((record) => record.type === 'equivocation-told')
  for (const one of due) {
    const noticed = tellings.some((record) => record.node === one.node && record.of === one.of && record.atMs >= one.atMs - togetherMs && record.atMs <= one.atMs + togetherMs)
    if (!noticed && one.atMs + togetherMs < history.endMs) violations.push({ promise, atMs: one.atMs, detail: `${one.node} heard two different adverts of ${one.of} under sequence ${one.sequence} and did not notice` })
  }
  return violations
}

function neverNoticed(history: History, index: HistoryIndex): Violation[] {
  const unrest = unrestOf(history)
  const accused = new Set(history.records.flatMap((record) => (record.type === 'equivocation-told' ? [record.of] : [])))
  const first = new Map<string, { digest: string; atMs: number }>()
  const pairs = new Map<PeerId, number[]>()
  for (const record of history.records) {
    const one = signedIn(record)
    if (one === undefined || accused.has(one.by)) continue
    const key = `${one.by} ${one.sequence}`
    const before = first.get(key)
    if (before === undefined) first.set(key, { digest: one.digest, atMs: record.atMs })
    else if (before.digest !== one.digest && isCalm(unrest, before.atMs - calmMs, record.atMs + togetherMs)) pairs.set(one.by, [...(pairs.get(one.by) ?? []), record.atMs])
  }
  const honest = [...index.lives.keys()].filter((node) => isHonest(index, node)).length
  return [...pairs].flatMap(([by, atMs]) => (atMs.length < pairsUnnoticedMax || honest < 2 ? [] : [{ promise, atMs: atMs.at(-1)!, detail: `${by} signed ${atMs.length} pairs of different adverts under one sequence that left it, and none of ${honest} honest nodes noticed` }]))
}

/** A dishonest peer's own advert, published for all or sent to one. */
function signedIn(record: HistoryRecord): { readonly by: PeerId; readonly sequence: number; readonly digest: string } | undefined {
  if (record.type === 'advert-heard') return { by: record.of, sequence: record.sequence, digest: record.digest }
  if (record.type !== 'advert-published' || record.honest || record.advert.peerId !== record.by) return undefined
  return { by: record.by, sequence: record.advert.sequence, digest: digestOfText(canonicalJson(record.advert)) }
}
