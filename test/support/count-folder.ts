/** Counts a folder without any code of the project's: what a report is checked against. */
import { execFileSync } from 'node:child_process'
import { lstatSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from '../requirements.ts'

export interface FolderCount {
  readonly files: number
  readonly sizeBytes: number
  /** Of files without a zero byte: line feeds, plus a last line without one. */
  readonly lines: number
}

/** Regular files; links are not followed. */
export function countFolder(folder: string): FolderCount {
  const count = { files: 0, sizeBytes: 0, lines: 0 }
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      const inner = countFolder(path)
      count.files += inner.files
      count.sizeBytes += inner.sizeBytes
      count.lines += inner.lines
    } else if (entry.isFile()) {
      const bytes = readFileSync(path)
      count.files += 1
      count.sizeBytes += lstatSync(path).size
      if (bytes.includes(0)) continue
      for (const byte of bytes) if (byte === 10) count.lines += 1
      if (bytes.length > 0 && bytes.at(-1) !== 10) count.lines += 1
    }
  }
  return count
}

export interface LanguageCount {
  readonly nFiles: number
  readonly blank: number
  readonly comment: number
  readonly code: number
}

/** @returns undefined where cloc is not installed. */
export function countByCloc(folder: string): Record<string, LanguageCount> | undefined {
  const cloc = findProgram('cloc')
  if (cloc === undefined) return undefined
  // Files of the same content count each, as in a report.
  const { header: _header, SUM: _sum, ...languages } = JSON.parse(execFileSync(cloc, ['--json', '--quiet', '--skip-uniqueness', folder], { encoding: 'utf8' })) as Record<string, LanguageCount>
  return languages
}
