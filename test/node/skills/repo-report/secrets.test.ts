import { describe, expect, it } from 'vitest'
import { findSecrets } from '../../../../node/skills/repo-report/measure/find-secrets.ts'
import { seededRandom } from '../../../../protocols/kernel/prng.ts'
import type { Random } from '../../../../protocols/kernel/prng.ts'
import { folderWith } from '../../folders/temporary-folder.ts'
import { buildReport } from './report-in-process.ts'

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
const from = (random: Random, length: number, alphabet = letters) => Array.from({ length }, () => alphabet.charAt(random.below(alphabet.length))).join('')

/** Values are made up at run time, so that no scanner takes this file for a leak. */
const kinds: Readonly<Record<string, (random: Random) => string>> = {
  'aws key id': (random) => `AKIA${from(random, 16, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567')}`,
  'github token': (random) => `ghp_${from(random, 36)}`,
  'slack token': (random) => `xoxb-${from(random, 12, '0123456789')}-${from(random, 24)}`,
  'stripe key': (random) => `sk_live_${from(random, 24)}`,
  'google key': (random) => `AIza${from(random, 35)}`,
  'private key': (random) => `-----BEGIN RSA PRIVATE KEY-----\n${from(random, 64)}\n${from(random, 64)}\n-----END RSA PRIVATE KEY-----`,
  'json web token': (random) => `eyJ${from(random, 30)}.eyJ${from(random, 40)}.${from(random, 43)}`,
  password: (random) => `${from(random, 8)}9$x${from(random, 6)}`,
}

/** Ways in which a secret stands in a file. */
const settings: readonly (readonly [string, (value: string) => string])[] = [
  ['config.ts', (value) => `// TODO rotate password = "${value}"\nexport const password = '${value}'\n`],
  ['settings.py', (value) => `"""FIXME token: '${value}'"""\nAPI_KEY = "${value}"\n`],
  ['.env', (value) => `DATABASE_PASSWORD=${value.split('\n')[0] ?? ''}x1\n`],
  ['notes.md', (value) => `# TODO secret: "${value}"\n`],
  ['package.json', (value) => JSON.stringify({ name: 'p', version: '1.0.0', dependencies: { a: `git+https://ann:${encodeURIComponent(value)}@example.org/a.git` } })],
  ['requirements.txt', (value) => `--extra-index-url https://ann:${encodeURIComponent(value)}@example.org/simple\nrequests==2\n`],
  ['Dockerfile', (value) => `FROM node:24\nENV API_TOKEN="${value.replaceAll('\n', '\\n')}"\n`],
  ['deploy.yaml', (value) => `# HACK secret: "${value.split('\n')[0] ?? ''}"\nclient_secret: "${value.replaceAll('\n', '\\n')}"\n`],
]

describe('secrets', () => {
  it('are found, by rule and line, and masked line for line', async () => {
    for (const [kind, make] of Object.entries(kinds)) {
      const value = make(seededRandom([3, 9]))
      const text = `const a = 1\nconst password = "${value}"\nconst b = 2\n`
      const { secrets, masked } = await findSecrets('a.ts', text, 'key')
      expect(secrets[0], kind).toMatchObject({ line: 2, fingerprint: expect.stringMatching(/^[0-9a-f]{8}$/) as unknown })
      expect(masked, kind).not.toContain(value.slice(0, 40))
      expect(masked.split('\n'), kind).toHaveLength(text.split('\n').length)
      expect(masked).toHaveLength(text.length)
    }
  })

  it('are not seen in what only looks like one', async () => {
    const text = ['password = "changeme"', 'token: "your-token-here"', 'const secret = process.env.SECRET', 'apiKey: "<API_KEY>"', 'password = "password"', 'https://user:${PASSWORD}@example.org', 'const tokenName = "access_token"', 'AKIAIOSFODNN7EXAMPLE'].join('\n')
    expect((await findSecrets('a.ts', text, 'key')).secrets).toEqual([])
  })

  it('have fingerprints that mean something within one report only', async () => {
    const value = (kinds['github token'] ?? (() => ''))(seededRandom([1, 1]))
    const once = await findSecrets('a', `x ${value}\ny ${value}\n`, 'one report')
    const again = await findSecrets('b', value, 'another report')
    expect(once.secrets[0]?.fingerprint).toBe(once.secrets[1]?.fingerprint)
    expect(again.secrets[0]?.fingerprint).not.toBe(once.secrets[0]?.fingerprint)
  })

  it('never reach an output, a progress line or a blob of the report, in any of many settings', { timeout: 60_000 }, async () => {
    const random = seededRandom([2026, 11])
    const planted: string[] = []
    const files: Record<string, string> = {}
    for (let round = 0; round < 4; round++) {
      for (const [kind, make] of Object.entries(kinds)) {
        for (const [name, write] of settings) {
          const value = make(random)
          planted.push(...value.split('\n').filter((line) => !line.startsWith('-----')))
          files[`r${round}/${kind.replaceAll(' ', '-')}/${name}`] = write(value)
        }
      }
    }
    const { everythingSaid, html, markdown, report } = await buildReport(await folderWith(files), { options: { topN: 100 } })
    expect(report.totals.secrets).toBeGreaterThan(planted.length / 2)
    for (const value of planted) {
      for (const [where, text] of Object.entries({ everythingSaid, html, markdown })) expect(text.includes(value), `${value} in ${where}`).toBe(false)
    }
  })
})
