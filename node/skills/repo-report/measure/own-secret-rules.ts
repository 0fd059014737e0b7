/** Credentials that secretlint's preset does not look for: key ids without their secret, whole private keys, passwords in plain assignments. */

export interface SecretSpan {
  readonly rule: string
  readonly from: number
  readonly to: number
}

interface Rule {
  readonly name: string
  readonly pattern: RegExp
  /** Which group holds the value; 0 is the whole match. */
  readonly group: number
  readonly plausible?: (value: string) => boolean
}

const placeholder = /^(?:x+|\*+|\.+|<.*>|\$\{?.*|\{\{.*|%.*%|your|my|the|some|an?[-_ ]|example|sample|test|dummy|fake|mock|placeholder|change|changeme|secret$|password$|token$|none|null|undefined|true|false|todo|process\.|os\.|env\.|config\.|redacted)/i

const list: readonly Rule[] = [
  { name: 'aws-access-key-id', pattern: /(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Z0-9])/g, group: 0, plausible: (value) => !/EXAMPLE$/.test(value) },
  { name: 'private-key', pattern: /-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----[A-Za-z0-9+/=\s\\,:.-]{40,8000}?-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----/g, group: 0 },
  { name: 'github-token', pattern: /(?<![A-Za-z0-9_])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})/g, group: 0 },
  { name: 'stripe-key', pattern: /(?<![A-Za-z0-9_])(?:sk|rk)_live_[A-Za-z0-9]{20,100}/g, group: 0 },
  { name: 'google-api-key', pattern: /(?<![A-Za-z0-9_])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])/g, group: 0 },
  { name: 'slack-token', pattern: /(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,250}/g, group: 0 },
  { name: 'json-web-token', pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{15,2000}\.eyJ[A-Za-z0-9_-]{15,4000}\.[A-Za-z0-9_-]{20,1000}/g, group: 0 },
  { name: 'url-password', pattern: /[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:@/'"`<>]{1,100}:([^\s@/'"`<>]{3,200})@[A-Za-z0-9[]/gi, group: 1, plausible: (value) => !placeholder.test(value) && !/[${}]/.test(value) },
  {
    name: 'assigned-secret',
    pattern: /(?:pass(?:word|wd|phrase)?|secret|token|api[-_]?key|access[-_]?key|auth[-_]?key|private[-_]?key|client[-_]?secret|credentials?)["']?[ \t]{0,8}(?::|=|:=|=>)[ \t]{0,8}["'`]([^"'`\s]{8,200})["'`]/gi,
    group: 1,
    plausible: isRandomLooking,
  },
  {
    name: 'assigned-secret',
    // As environment files have it: no quotes, the value runs to the end of the line.
    pattern: /^[ \t]{0,40}(?:export[ \t]{1,4})?[A-Z][A-Z0-9_]{0,60}(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)[A-Z0-9_]{0,20}=([^\s"'`#$]{8,200})[ \t]*$/gm,
    group: 1,
    plausible: isRandomLooking,
  },
]

/** Enough different characters of several kinds: neither a word nor a placeholder. */
function isRandomLooking(value: string): boolean {
  if (placeholder.test(value) || /^[a-z]+(?:[-_. ][a-z]+)*$/i.test(value) || /^[\w.-]+\(/.test(value) || /^(?:https?|file):\/\//.test(value) || /^[/.~]/.test(value)) return false
  const kinds = [/[a-z]/, /[A-Z]/, /\d/, /[^A-Za-z0-9]/].filter((kind) => kind.test(value)).length
  return kinds >= 2 && entropyBits(value) >= 3
}

/** Shannon entropy per character. */
function entropyBits(value: string): number {
  const counts = new Map<string, number>()
  for (const char of value) counts.set(char, (counts.get(char) ?? 0) + 1)
  let bits = 0
  for (const count of counts.values()) bits -= (count / value.length) * Math.log2(count / value.length)
  return bits
}

export function ownSecretRules(text: string): SecretSpan[] {
  const spans: SecretSpan[] = []
  for (const rule of list) {
    for (const match of text.matchAll(rule.pattern)) {
      const value = match[rule.group] ?? ''
      if (rule.plausible !== undefined && !rule.plausible(value)) continue
      const from = match.index + (rule.group === 0 ? 0 : match[0].lastIndexOf(value))
      spans.push({ rule: rule.name, from, to: from + value.length })
    }
  }
  return spans
}
