/** Which language a file is written in: by name, extension, first line, and for the ambiguous ones by content. */
import { commonLanguages } from './common-languages.ts'
import type { Language } from './common-languages.ts'

export interface DetectedLanguage {
  readonly name: string
  readonly type: string
  readonly color?: string
}

interface Lookup {
  readonly byFilename: Map<string, Language>
  readonly byExtension: Map<string, Language>
  readonly byInterpreter: Map<string, Language>
}

const common = lookupOf(commonLanguages)
let everything: Promise<Lookup> | undefined

function lookupOf(languages: readonly Language[]): Lookup {
  const lookup: Lookup = { byFilename: new Map(), byExtension: new Map(), byInterpreter: new Map() }
  const claim = (table: Map<string, Language>, keys: readonly string[] | undefined, language: Language) => {
    for (const key of keys ?? []) if (!table.has(key.toLowerCase())) table.set(key.toLowerCase(), language)
  }
  for (const language of languages) {
    claim(lookup.byFilename, language.filenames, language)
    claim(lookup.byExtension, language.extensions, language)
    claim(lookup.byInterpreter, language.interpreters, language)
  }
  // Linguist lets TypeScript claim `node`, too; a script without an extension is run by older ones as well.
  const script = languages.find((language) => language.name === 'JavaScript')
  if (script !== undefined) lookup.byInterpreter.set('node', script)
  return lookup
}

/** All of Linguist, loaded when a file first asks for it. A popular claimant of an extension goes before an obscure one. */
function loadEverything(): Promise<Lookup> {
  everything ??= import('linguist-languages').then((all) => {
    const languages = Object.values(all as Record<string, unknown>).filter(isLanguage)
    const rank = (language: Language) => (language.type === 'programming' ? 0 : language.type === 'markup' ? 1 : 2)
    return lookupOf(languages.sort((left, right) => rank(left) - rank(right) || (left.name < right.name ? -1 : 1)))
  })
  return everything
}

function isLanguage(value: unknown): value is Language {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string' && 'type' in value
}

const unknown: DetectedLanguage = { name: 'Other text', type: 'unknown' }

/** @param path relative, with `/`. @param text the file's content. */
export async function detectLanguage(path: string, text: string): Promise<DetectedLanguage> {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase()
  if (name.endsWith('.map') && /^(?:\)\]\}'?\n)?\s*\{/.test(text)) return { name: 'Source map', type: 'data' }
  const found = byName(common, name) ?? byFirstLine(common, text) ?? (name.lastIndexOf('.') > 0 ? byName(await loadEverything(), name) : undefined)
  if (found === undefined) return isConventionalText(name) ? { name: 'Text', type: 'prose' } : unknown
  return byContent(found, name, text)
}

function byName(lookup: Lookup, name: string): Language | undefined {
  const exact = lookup.byFilename.get(name)
  if (exact !== undefined) return exact
  if (/^(dockerfile|containerfile)\./.test(name)) return lookup.byFilename.get('dockerfile')
  if (/^\.env\./.test(name)) return lookup.byFilename.get('.env')
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const language = lookup.byExtension.get(name.slice(dot))
    if (language !== undefined) return language
  }
  return undefined
}

function byFirstLine(lookup: Lookup, text: string): Language | undefined {
  const shebang = /^#!\s*(?:\S*\/)?(?:env\s+(?:-S\s+)?(?:\w+=\S+\s+)*)?(?:\S*\/)?([A-Za-z][\w+-]*)/.exec(text.slice(0, 200))
  if (shebang !== null) return lookup.byInterpreter.get((shebang[1] ?? '').toLowerCase().replace(/[\d.]+$/, '')) ?? lookup.byInterpreter.get((shebang[1] ?? '').toLowerCase())
  if (/^<\?xml\b/.test(text)) return lookup.byExtension.get('.xml')
  return undefined
}

/** Extensions that several languages share, told apart by what only one of them has. */
function byContent(language: Language, name: string, text: string): DetectedLanguage {
  const head = text.slice(0, 20_000)
  if (name.endsWith('.h') && /^\s*(?:@(?:interface|protocol|class|import)\b|#import\b)/m.test(head)) return named('Objective-C', language)
  if (name.endsWith('.h') && /^\s*(?:class\s+\w|namespace\s+\w|template\s*<|using\s+\w)|\bstd::|^\s*(?:public|private|protected):/m.test(head)) return named('C++', language)
  if (name.endsWith('.m') && !/^\s*(?:@|#import|#include|\/[/*])/m.test(head) && /^\s*(?:function\b|%)/m.test(head)) return { name: 'MATLAB', type: 'programming', color: '#e16737' }
  if (name.endsWith('.ts') && /^\s*<\?xml|^\s*<!DOCTYPE TS>/.test(head)) return named('XML', language)
  if (name.endsWith('.pl') && /^\s*:-\s/m.test(head)) return { name: 'Prolog', type: 'programming', color: '#74283c' }
  return plain(language)
}

function named(name: string, otherwise: Language): DetectedLanguage {
  return plain(commonLanguages.find((language) => language.name === name) ?? otherwise)
}

function plain(language: Language): DetectedLanguage {
  return { name: language.name, type: language.type, ...(language.color === undefined ? {} : { color: language.color }) }
}

function isConventionalText(name: string): boolean {
  return /^(readme|licen[cs]e|copying|authors|contributors|changelog|changes|news|notice|todo|install|maintainers|codeowners|version|unlicense|patents)([-_.].*)?$/.test(name)
}
