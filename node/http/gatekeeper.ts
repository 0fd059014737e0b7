/** Who may talk to the bridge: tokens, and on loopback protection from web pages that aim at it. */
import { createHash, timingSafeEqual } from 'node:crypto'
import { isIPv4 } from 'node:net'
import { fault, MeshError } from '../../protocols/kernel/errors.ts'
import { Principal } from '../../protocols/kernel/ids.ts'
import { HttpFault } from './problem.ts'

/** Whoever can reach a bridge without tokens. */
const everybody = Principal.parse('local')

export interface Approach {
  readonly method: string
  /** Lower-case header names. */
  readonly header: (name: string) => string | undefined
  /** The route needs no token. */
  readonly open: boolean
}

export interface Gatekeeper {
  /** @returns on whose behalf the request acts. @throws HttpFault 401 without a good token, 403 for a foreign Host or Origin. */
  admit(approach: Approach): Principal
}

/** True for the names and addresses that only this machine can reach. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[|\]$/g, '').toLowerCase()
  return bare === 'localhost' || bare === '::1' || (isIPv4(bare) && bare.startsWith('127.'))
}

/**
 * @param host what the bridge listens on. Anything but loopback demands tokens.
 * @param tokens token → principal.
 * @throws MeshError `bad-request` when tokens are demanded and absent, or one is unusable.
 */
export function createGatekeeper(host: string, tokens: Readonly<Record<string, string>> = {}): Gatekeeper {
  const loopback = isLoopback(host)
  const holders = Object.entries(tokens).map(([token, name]) => {
    // The token68 form of RFC 6750, so that every client can send it in a header.
    if (!/^[A-Za-z0-9._~+/=-]{8,512}$/.test(token)) throw new MeshError('bad-request', 'a bridge token must be 8 to 512 letters, digits or ._~+/=-', { next: 'make one with: openssl rand -hex 32' })
    const principal = Principal.safeParse(name)
    if (!principal.success) throw new MeshError('bad-request', `"${name.slice(0, 80)}" is not a principal's name (letters, digits and ._@-, at most 64)`, { next: 'name each token\'s holder, like "alice"' })
    return { digest: sha256(token), principal: principal.data }
  })
  if (!loopback && holders.length === 0) {
    throw new MeshError('bad-request', `HTTP on ${host} can be reached from other machines and has no token`, { next: 'configure a token for each person (http.tokens), or listen on 127.0.0.1' })
  }

  function principalOf(token: string): Principal | undefined {
    const digest = sha256(token)
    let found: Principal | undefined
    // Digests have one length and every holder is compared, so the time tells nothing about any token.
    for (const holder of holders) if (timingSafeEqual(holder.digest, digest)) found = holder.principal
    return found
  }

  return {
    admit({ method, header, open }) {
      const hostHeader = header('host') ?? ''
      if (loopback && !isLoopback(hostOf(hostHeader))) {
        // A web page can make its own name resolve to 127.0.0.1 (DNS rebinding); its requests still carry that name.
        throw new HttpFault(fault('forbidden', `this bridge answers only to localhost, not to "${hostHeader.slice(0, 100)}"`, { next: 'use http://127.0.0.1 or http://localhost with the bridge\'s port' }))
      }
      const origin = header('origin')
      if (origin !== undefined && method !== 'GET' && method !== 'HEAD' && !sameOrigin(origin, hostHeader)) {
        throw new HttpFault(fault('forbidden', `a page of ${origin.slice(0, 100)} may not change anything here`, { next: 'send the request from the bridge\'s own pages or from a program that sends no Origin' }))
      }
      if (open || holders.length === 0) return everybody
      const authorization = header('authorization')
      if (authorization === undefined) throw new HttpFault(fault('unauthorised', 'this bridge needs a token', { next: 'send the header "Authorization: Bearer <token>"' }))
      const token = /^bearer +([^ ]+) *$/i.exec(authorization)?.[1]
      const principal = token === undefined ? undefined : principalOf(token)
      if (principal === undefined) {
        throw new HttpFault(fault('unauthorised', 'the token is wrong', { next: 'ask whoever runs this node for a token of yours' }), { headers: { 'www-authenticate': 'Bearer realm="skein", error="invalid_token"' } })
      }
      return principal
    },
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** The host of a Host header without its port; an IPv6 address keeps its brackets. */
function hostOf(hostHeader: string): string {
  return /^(\[[0-9A-Fa-f:.]+\]|[^:]*)(?::\d*)?$/.exec(hostHeader)?.[1] ?? ''
}

function sameOrigin(origin: string, hostHeader: string): boolean {
  // A proxy may end TLS, so the scheme can differ; host and port are the page's own.
  return URL.canParse(origin) && new URL(origin).host === hostHeader.toLowerCase()
}
