/** Skein's release, from the package it runs from. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

let found: string | undefined

/** @returns the version in the nearest package.json named "skein": the clone's or the published package's. */
export function release(): string {
  found ??= look(dirname(fileURLToPath(import.meta.url)))
  return found
}

function look(folder: string): string {
  try {
    const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: unknown; version?: unknown }
    if (name === 'skein' && typeof version === 'string') return version
  } catch {
    // None in this folder: the one above it may have one.
  }
  const above = dirname(folder)
  return above === folder ? '0.0.0' : look(above)
}
