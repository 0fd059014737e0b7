/** What stands in a log where a secret was. */
export const redacted = '[redacted]'

const secretFieldName = /^(authorization|proxy-?authorization|cookie|set-?cookie|invite|token|tokens|secret|password|passphrase|psk|(mesh|api|private|secret|swarm)-?_?key)$/i
const secretFieldEnding = /(Token|Secret|Password|ApiKey|MeshKey|PrivateKey|InviteLine)$/

/** Secrets that can be told by their form, wherever they stand in a text. */
const secretForms: readonly (readonly [RegExp, string])[] = [
  [/\b((?:proxy-)?authorization["']?\s*[:=]\s*["']?(?:(?:basic|bearer|digest)\s+)?)[^\s"',;]+/gi, `$1${redacted}`],
  [/\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}/gi, `$1${redacted}`],
  // pnet's key file: https://github.com/libp2p/specs/blob/master/pnet/Private-Networks-PSK-V1.md
  [/\/key\/swarm\/psk\/1\.0\.0\/\s*\/(?:base16|base64|bin)\/\s*\S*/g, `/key/swarm/psk/1.0.0/ ${redacted}`],
  [/\bskein(?:-invite)?(?::\/?\/?|[-_.]?1[:._-])[A-Za-z0-9+/=_~.,:%-]{16,}/gi, redacted],
  [/\b(sk|rk|pk)-[A-Za-z0-9_-]{16,}/g, redacted],
  [/(:\/\/)[^\s/@:]+:[^\s/@]+@/g, `$1${redacted}@`],
  [/([?&](?:token|key|secret|password|invite|access_token|api_key)=)[^&\s#"']+/gi, `$1${redacted}`],
]

/** Takes secrets out of what is about to be written: those it was told about, those in fields named like one, those it knows by their form. */
export interface Redactor {
  /** This exact text is never written from now on. Texts under 6 characters are ignored: they would blank innocent words. */
  keepSecret(secret: string): void
  text(value: string): string
  /** @returns the fields without undefined ones, secrets replaced. */
  fields(fields: Readonly<Record<string, string | number | boolean | undefined>>): Record<string, string | number | boolean>
}

export function createRedactor(secrets: readonly string[] = []): Redactor {
  const known = new Set<string>()
  let knownForm: RegExp | undefined

  function keepSecret(secret: string): void {
    const trimmed = secret.trim()
    if (trimmed.length < 6 || known.has(trimmed)) return
    known.add(trimmed)
    // Longest first, so that a secret which contains another one disappears whole.
    const longestFirst = [...known].sort((left, right) => right.length - left.length)
    knownForm = new RegExp(longestFirst.map((each) => each.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&')).join('|'), 'g')
  }

  function text(value: string): string {
    let clean = knownForm === undefined ? value : value.replace(knownForm, redacted)
    for (const [form, replacement] of secretForms) clean = clean.replace(form, replacement)
    return clean
  }

  for (const secret of secrets) keepSecret(secret)
  return {
    keepSecret,
    text,
    fields(fields) {
      const clean: Record<string, string | number | boolean> = {}
      for (const [name, value] of Object.entries(fields)) {
        if (value === undefined) continue
        if (typeof value !== 'string') clean[name] = value
        else clean[name] = secretFieldName.test(name) || secretFieldEnding.test(name) ? redacted : text(value)
      }
      return clean
    },
  }
}
