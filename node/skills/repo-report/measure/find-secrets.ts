/**
 * Probable credentials. The value itself never leaves this file: a finding says which rule, where, and a keyed fingerprint by
 * which two findings of the same value can be told. What is passed on to everything else is the text with values masked.
 */
import { createHmac } from 'node:crypto'
import { basename, extname } from 'node:path'
import { rules } from '@secretlint/secretlint-rule-preset-recommend'
import type { SecretLintRuleContext, SecretLintRuleReportHandler, SecretLintSourceCode } from '@secretlint/types'
import { ownSecretRules } from './own-secret-rules.ts'

export interface FoundSecret {
  readonly rule: string
  readonly line: number
  readonly fingerprint: string
}

interface Span {
  readonly rule: string
  readonly from: number
  readonly to: number
}

/** A regular expression over a megabyte-long line holds up the thread's pulse: long texts are searched in pieces. */
const pieceChars = 512 * 1024

let collected: Span[] = []
let handlers: readonly SecretLintRuleReportHandler[] | undefined

/** The rules of secretlint's recommended preset. Its core is not used: it keeps timing marks of every file for good. */
function secretlintHandlers(): readonly SecretLintRuleReportHandler[] {
  handlers ??= rules
    .filter((rule) => rule.meta.type === 'scanner')
    .map((rule) => {
      const name = rule.meta.id.replace('@secretlint/secretlint-rule-', '')
      const context: SecretLintRuleContext = {
        sharedOptions: {} as SecretLintRuleContext['sharedOptions'],
        createTranslator: () => (messageId: unknown) => ({ message: String(messageId), messageId: String(messageId), data: {} }) as never,
        report: ({ range }) => {
          collected.push({ rule: name, from: range[0], to: range[1] })
        },
        ignore: () => undefined,
      }
      return rule.create(context, {})
    })
  return handlers
}

/** A path is told by its last part only, and not at all where a rule would open it: the file is not on this machine. */
function sourceOf(path: string, content: string): SecretLintSourceCode {
  const filePath = extname(path).toLowerCase() === '.p12' ? undefined : basename(path)
  const here = { line: 1, column: 0 }
  return {
    hasBOM: false, content, filePath, physicalFilePath: undefined, contentType: 'text', ext: extname(path),
    getFilePath: () => filePath,
    getPhysicalFilePath: () => undefined,
    locationToRange: () => [0, 0],
    rangeToLocation: () => ({ start: here, end: here }),
    positionToIndex: () => 0,
    indexToPosition: () => here,
  }
}

export interface SecretSearch {
  readonly secrets: FoundSecret[]
  /** The same text, line for line, with every value found replaced by asterisks. */
  readonly masked: string
}

/**
 * @param key makes fingerprints of one report comparable with each other and useless for guessing values.
 * @param pulse called between pieces.
 */
export async function findSecrets(path: string, text: string, key: string, pulse?: () => void): Promise<SecretSearch> {
  const spans: Span[] = []
  for (const { from, piece } of piecesOf(text)) {
    const found: Span[] = ownSecretRules(piece)
    const source = sourceOf(path, piece)
    for (const rule of secretlintHandlers()) {
      // Rules report before they first yield, so this is where their findings go even when two searches take turns.
      collected = found
      await rule.file?.(source)
    }
    for (const span of found) if (span.to > span.from) spans.push({ rule: span.rule, from: span.from + from, to: span.to + from })
    pulse?.()
  }
  if (spans.length === 0) return { secrets: [], masked: text }
  spans.sort((left, right) => left.from - right.from || right.to - left.to)
  const secrets: FoundSecret[] = []
  let masked = ''
  let at = 0
  let line = 1
  let counted = 0
  for (const span of spans) {
    // Two rules that see the same credential make one finding.
    if (span.from >= at) {
      for (let i = text.indexOf('\n', counted); i >= 0 && i < span.from; i = text.indexOf('\n', i + 1)) line++
      counted = span.from
      secrets.push({ rule: span.rule, line, fingerprint: createHmac('sha256', key).update(text.slice(span.from, span.to)).digest('hex').slice(0, 8) })
      masked += text.slice(at, span.from)
    }
    const start = Math.max(at, span.from)
    if (span.to > start) {
      masked += text.slice(start, span.to).replace(/[^\n\r]/g, '*')
      at = span.to
    }
  }
  return { secrets, masked: masked + text.slice(at) }
}

function* piecesOf(text: string): Generator<{ from: number; piece: string }> {
  for (let from = 0; from < text.length; ) {
    let to = Math.min(text.length, from + pieceChars)
    if (to < text.length) {
      const newline = text.lastIndexOf('\n', to)
      if (newline > from) to = newline + 1
    }
    yield { from, piece: text.slice(from, to) }
    from = to
  }
}
