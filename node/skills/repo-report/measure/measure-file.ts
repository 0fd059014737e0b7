/** One file's measurement. */
import { extname } from 'node:path'
import { emptyMeasurement } from '../measurement.ts'
import type { Measurement } from '../schema.ts'
import { commentSyntaxOf } from './comment-syntax.ts'
import { measureComplexity } from './complexity.ts'
import { detectLanguage } from './detect-language.ts'
import { decodeText, looksGenerated } from './file-text.ts'
import { spdxHeader } from './find-licence.ts'
import { findMarkers } from './find-markers.ts'
import { findSecrets } from './find-secrets.ts'
import { countTestCases, isTestPath } from './find-tests.ts'
import { fingerprintFile } from './fingerprints.ts'
import type { FileFingerprints } from './fingerprints.ts'
import { physicalLines, scanLines } from './scan-lines.ts'

export interface FileToMeasure {
  readonly path: string
  readonly sizeBytes: number
  /** The whole file, or only its head. */
  readonly bytes: Uint8Array
  readonly headOnly: boolean
}

export interface MeasuredFile {
  readonly measurement: Measurement
  readonly fingerprints?: FileFingerprints
}

export interface MeasureOptions {
  readonly secretKey: string
  readonly duplicates: boolean
  readonly pulse: () => void
}

/** Languages whose lines are content, not code that somebody could share. */
const comparedTypes = new Set(['programming', 'markup'])

export async function measureFile(file: FileToMeasure, options: MeasureOptions): Promise<MeasuredFile> {
  const found = emptyMeasurement()
  found.files = 1
  found.sizeBytes = file.sizeBytes
  found.largestFiles = [{ path: file.path, value: file.sizeBytes }]
  if (file.sizeBytes === 0) found.emptyFiles = 1
  const text = decodeText(file.bytes)
  if (text === undefined) return { measurement: binary(found, file) }
  if (file.headOnly) {
    found.unmeasuredFiles = 1
    found.problems = [{ path: file.path, reason: 'too large to be measured: only its size counts' }]
    return { measurement: found }
  }
  found.textFiles = 1
  const { secrets, masked } = await findSecrets(file.path, text, options.secretKey, options.pulse)
  const isTest = isTestPath(file.path)
  found.secrets.total = secrets.length
  if (isTest) found.secrets.inTests = secrets.length
  found.secrets.places = secrets.map((secret) => ({ ...secret, path: file.path }))
  for (const secret of secrets) found.secrets.byRule[secret.rule] = (found.secrets.byRule[secret.rule] ?? 0) + 1

  // From here on only the masked text is looked at: nothing below can carry a secret out.
  const language = await detectLanguage(file.path, masked)
  const scanned = scanLines(masked, commentSyntaxOf(language.name))
  options.pulse()
  found.lines = { total: scanned.lines, code: scanned.code, comment: scanned.comment, blank: scanned.blank }
  found.languages[language.name] = { type: language.type, ...(language.color === undefined ? {} : { color: language.color }), files: 1, sizeBytes: file.sizeBytes, lines: scanned.lines, code: scanned.code, comment: scanned.comment, blank: scanned.blank }
  documentation(found, file.path, language.type, scanned.lines)
  const spdx = spdxHeader(masked)
  if (spdx !== undefined) found.licences.headers[spdx] = 1
  if (looksGenerated(file.path, masked)) {
    found.generatedFiles = 1
    return { measurement: found }
  }

  const lines = physicalLines(masked)
  const prose = language.type === 'prose' || language.type === 'unknown'
  if (language.type !== 'data' || language.name === 'YAML' || language.name === 'TOML') {
    const markers = findMarkers(prose ? lines : scanned.commentLines, prose)
    found.markers.places = markers.map((each) => ({ ...each, path: file.path }))
    for (const each of markers) found.markers.byKind[each.kind] = (found.markers.byKind[each.kind] ?? 0) + 1
    if (markers.length > 0) found.markers.filesWithMost = [{ path: file.path, value: markers.length }]
  }
  if (language.type !== 'programming') return comparedTypes.has(language.type) ? compared(found, file.path, lines, scanned.codeLines, options) : { measurement: found }

  found.longestFiles = [{ path: file.path, value: scanned.lines }]
  tests(found, isTest, language.name, scanned.code, countTestCases(language.name, scanned.codeLines))
  complexity(found, file.path, language.name, scanned.codeLines)
  options.pulse()
  return compared(found, file.path, lines, scanned.codeLines, options)
}

function compared(found: Measurement, path: string, lines: readonly string[], codeLines: readonly string[], options: MeasureOptions): MeasuredFile {
  if (!options.duplicates) return { measurement: found }
  found.comparedLines = found.lines.code
  const fingerprints = fingerprintFile(path, lines, codeLines)
  return { measurement: found, ...(fingerprints === undefined ? {} : { fingerprints }) }
}

function binary(found: Measurement, file: FileToMeasure): Measurement {
  found.binaryFiles = 1
  found.largestBinaries = [{ path: file.path, value: file.sizeBytes }]
  found.binaryKinds[binaryKind(file.path)] = { files: 1, sizeBytes: file.sizeBytes }
  return found
}

function binaryKind(path: string): string {
  const extension = extname(path).toLowerCase()
  return /^\.[a-z0-9+-]{1,12}$/.test(extension) ? extension : 'no extension'
}

const documentKinds: readonly (readonly [string, RegExp])[] = [
  ['readme', /^readme([-_.]|$)/i],
  ['changelog', /^(changelog|changes|history|news|releases)([-_.]|$)/i],
  ['contributing', /^contributing([-_.]|$)/i],
  ['licence', /^(licen[cs]e|copying|unlicense)([-_.]|$)/i],
  ['code of conduct', /^code[-_]of[-_]conduct([-_.]|$)/i],
  ['security policy', /^security\.(md|rst|txt)$/i],
]

function documentation(found: Measurement, path: string, type: string, lines: number): void {
  const name = path.slice(path.lastIndexOf('/') + 1)
  const kind = documentKinds.find(([, pattern]) => pattern.test(name))?.[0]
  const document = kind !== undefined && !/\.(js|ts|py|go|rs|java|rb|json|yml|yaml)$/i.test(name)
  if (type !== 'prose' && !document) return
  found.documentation.files = 1
  found.documentation.lines = lines
  if (document) found.documentation.kinds[kind] = 1
  if (kind === 'readme') found.documentation.readmes = [path]
}

function tests(found: Measurement, isTest: boolean, language: string, code: number, cases: number): void {
  // Rust and others keep tests beside the code: the cases count, the file stays source.
  const counted = isTest || language === 'Rust' || language === 'D' || language === 'Zig' ? cases : 0
  found.tests.cases = counted
  if (counted > 0) found.tests.byLanguage[language] = counted
  if (isTest) {
    found.tests.files = 1
    found.tests.code = code
  } else {
    found.tests.sourceFiles = 1
    found.tests.sourceCode = code
  }
}

function complexity(found: Measurement, path: string, language: string, codeLines: readonly string[]): void {
  const functions = measureComplexity(language, codeLines)
  if (functions.length === 0) return
  const sum = functions.reduce((total, each) => total + each.complexity, 0)
  found.complexity = {
    functions: functions.length,
    sum,
    over10: functions.filter((each) => each.complexity > 10).length,
    over20: functions.filter((each) => each.complexity > 20).length,
    worstFunctions: functions.map((each) => ({ ...each, path })),
    worstFiles: [{ path, value: sum }],
  }
}
