/** What `doctor --bundle` writes: everything that was seen, without what is secret or personal. */
import { redacted } from '../../config.ts'
import type { Finding } from './findings.ts'
import type { Probes } from './probes.ts'

export function bundleOf(probes: Probes, findings: readonly Finding[], home: string): unknown {
  const { config, run, ...rest } = probes
  return scrub({
    format: 'skein-doctor-1',
    madeAt: new Date().toISOString(),
    findings,
    ...rest,
    run: run === undefined ? null : { ...run, token: undefined },
    config: 'fault' in config ? config : {
      settings: Object.fromEntries(Object.entries(config.value.config).map(([key, value]) => [key, key === 'http' ? { ...config.value.config.http, tokens: redacted('http.tokens', config.value.config.http.tokens) } : redacted(key, value)])),
      origins: config.value.origins,
    },
  }, home)
}

const secretName = /(token|secret|password|passwd|api-?key|credential|authorization)s?$/i

/** Invites, tokens, credentials in addresses and the home folder's name are replaced wherever they stand. */
export function scrub(value: unknown, home: string, key = ''): unknown {
  if (typeof value === 'string') {
    if (secretName.test(key) && value !== '') return '(secret)'
    return value
      .replace(/skein:\/\/[A-Za-z0-9_-]+/g, '(invite)')
      .replace(/\b(bearer)\s+[A-Za-z0-9._~+/=-]+/gi, '$1 (secret)')
      .replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^/\s@]+@/gi, '$1(secret)@')
      .replaceAll(home === '' || home === '/' ? '\u0000' : home, '~')
  }
  if (Array.isArray(value)) return value.map((inner: unknown) => scrub(inner, home, key))
  if (typeof value === 'object' && value !== null) return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, scrub(inner, home, name)]))
  return value
}
