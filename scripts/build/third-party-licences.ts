/** The packages that are inside the bundle, and under which terms: most licences ask that their text goes with every copy. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Metafile } from 'esbuild'

interface PackageManifest {
  readonly name: string
  readonly version: string
  readonly license?: string
}

/** @returns one text: every package of which something was bundled, in the order of their folders, with its licence files. */
export function thirdPartyLicences(root: string, metafile: Metafile): string {
  const folders = packageFolders(Object.values(metafile.outputs).flatMap((output) => Object.keys(output.inputs)))
  return folders.map((folder) => entryOf(join(root, folder))).join('\n')
}

/** @param inputs paths of modules. @returns the folders of their packages, each once, sorted. */
export function packageFolders(inputs: readonly string[]): string[] {
  const folders = inputs.map((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0])
  return [...new Set(folders.filter((folder) => folder !== undefined))].sort()
}

function entryOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageManifest
  const texts = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file)).sort()
    .map((file) => readFileSync(join(folder, file), 'utf8').trim())
  return [`${name} ${version} (${license ?? 'see below'})`, ...texts, ''].join('\n\n')
}
