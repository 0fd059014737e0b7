/** Reads a signed advert. Nothing in it is believed before its signature was checked. */
import { Advert, type SignedAdvert } from './schema.ts'

export interface OpenedAdvert {
  readonly advert: Advert
  /** What was signed. */
  readonly bytes: Uint8Array
}

/** The same message is heard by several actors and, on some networks, several times: it is read once. */
const opened = new WeakMap<SignedAdvert, OpenedAdvert | 'malformed'>()

/** @returns undefined when it is no advert. */
export function openAdvert(signed: SignedAdvert): OpenedAdvert | undefined {
  let known = opened.get(signed)
  if (known === undefined) opened.set(signed, (known = read(signed) ?? 'malformed'))
  return known === 'malformed' ? undefined : known
}

function read(signed: SignedAdvert): OpenedAdvert | undefined {
  try {
    return { advert: Advert.parse(JSON.parse(signed.advert)), bytes: new TextEncoder().encode(signed.advert) }
  } catch {
    return undefined
  }
}
