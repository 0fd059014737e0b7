/**
 * Cyclomatic complexity (McCabe, 1976), approximated for many languages alike: one per function plus one per branch and
 * per short-circuit. It reads code from which comments and strings were removed; it does not parse. Good for ranking.
 */

export interface FunctionComplexity {
  readonly name: string
  readonly line: number
  readonly complexity: number
  readonly lines: number
}

type Shape = 'braces' | 'indented' | 'ended'

const shapes: Readonly<Record<string, Shape>> = {
  JavaScript: 'braces', TypeScript: 'braces', TSX: 'braces', Java: 'braces', Go: 'braces', Rust: 'braces', C: 'braces', 'C++': 'braces', 'C#': 'braces',
  PHP: 'braces', Swift: 'braces', Kotlin: 'braces', Scala: 'braces', 'Objective-C': 'braces', Dart: 'braces', Groovy: 'braces', Solidity: 'braces', Zig: 'braces', Vue: 'braces', Svelte: 'braces', Astro: 'braces', D: 'braces',
  Python: 'indented', Ruby: 'ended', Lua: 'ended', Elixir: 'ended', Julia: 'ended',
}

const bracesBranch = /\b(?:if|for|foreach|while|case|catch|guard|when)\b|&&|\|\||\?\?(?!=)|\?(?![.?:,)\]>;=]|\s*[:,)\]>;=])/g
const rustBranch = /\b(?:if|for|while|loop)\b|&&|\|\||=>/g
const wordBranch = /\b(?:if|elif|elsif|elseif|unless|for|while|until|except|rescue|when|and|or|case)\b|&&|\|\|/g

/** @returns one entry per function, in order; empty for a language whose functions cannot be told. */
export function measureComplexity(language: string, codeLines: readonly string[]): FunctionComplexity[] {
  switch (shapes[language]) {
    case 'braces':
      return bracedFunctions(codeLines, language === 'Rust' ? rustBranch : bracesBranch)
    case 'indented':
      return indentedFunctions(codeLines)
    case 'ended':
      return endedFunctions(codeLines, language)
    default:
      return []
  }
}

interface OpenFunction {
  readonly name: string
  readonly line: number
  readonly depth: number
  branches: number
}

const notAFunction = new Set(['if', 'for', 'foreach', 'while', 'switch', 'catch', 'with', 'return', 'synchronized', 'using', 'lock', 'fixed', 'when', 'match', 'guard', 'else', 'do', 'try', 'select', 'new', 'super', 'elif', 'until', 'unsafe', 'defer', 'go', 'in', 'of', 'typeof', 'throw', 'await', 'assert', 'sizeof', 'alignas', 'requires', 'loop', 'repeat'])

/** The text before a `{`, since the last `;`, `{` or `}`: the name of the function it opens, or undefined. */
function functionName(header: string): string | undefined {
  const text = header.trim()
  if (text.endsWith('=>')) return arrowName(text.slice(0, -2))
  const keyword = /\b(?:function\s*\*?|func|fn|fun|def|sub)\s*(?:\([^()]{0,120}\)\s*)?([\w$#]+)?\s*(?:<[^()]{0,200}>)?\s*\(/.exec(text)
  if (keyword !== null) return keyword[1] ?? '(anonymous)'
  // A signature without keyword (methods, C): a name, balanced parentheses, then nothing that a call would have.
  const open = matchingOpen(text)
  if (open < 0) return undefined
  const before = text.slice(0, open).replace(/<[^<>()]{0,120}>\s*$/, '')
  const name = /([\w$#~]+|operator\s*\S{1,3})\s*$/.exec(before)?.[1]
  if (name === undefined || notAFunction.has(name)) return undefined
  const head = before.slice(0, before.length - name.length).trim()
  if (/[=.(,!&|?+]$/.test(head) || /\b(?:return|new|await|throw|else|case)$/.test(head)) return undefined
  return name
}

/** `const size = async (of: Folder): number` → `size`; without a name of its own: `(anonymous)`. */
function arrowName(text: string): string {
  const close = text.lastIndexOf(')')
  const open = close < 0 ? -1 : openingOf(text, close)
  const before = (open < 0 ? text.replace(/[\w$]+\s*$/, '') : text.slice(0, open)).slice(-200).replace(/<[^<>()]{0,120}>\s*$/, '')
  const name = /([\w$#]{1,80})\s{0,4}(?:=|:(?:[^=:,(]{1,60}=)?)\s{0,4}(?:async\s{0,4})?$/.exec(before)?.[1]
  return name === undefined || notAFunction.has(name) ? '(anonymous)' : name
}

/** Index of the parenthesis that opens the parameter list, when only a return type, modifiers or a constructor's initialisers follow it. */
function matchingOpen(text: string): number {
  const close = text.lastIndexOf(')')
  if (close < 0) return -1
  if (!/^\s*(?:$|const\b|noexcept\b|override\b|final\b|throws\b|async\b|rethrows\b|->|:|where\b|external\b|public\b|view\b|pure\b|returns\b|[A-Z*&[(\w][\w.*&[\]<>, ?|]*$)/.test(text.slice(close + 1))) return -1
  return openingOf(text, close)
}

/** @returns the index of the parenthesis that the one at `close` closes, or -1. */
function openingOf(text: string, close: number): number {
  let depth = 0
  for (let i = close; i >= 0; i--) {
    const char = text.charCodeAt(i)
    if (char === 41) depth++
    else if (char === 40 && --depth === 0) return i
  }
  return -1
}

function bracedFunctions(codeLines: readonly string[], branch: RegExp): FunctionComplexity[] {
  const done: FunctionComplexity[] = []
  const open: OpenFunction[] = []
  let depth = 0
  let header = ''
  let headerLine = 1
  for (const [index, line] of codeLines.entries()) {
    if (line === '' || line.length > 5_000) continue
    let from = 0
    for (const match of line.matchAll(/[{};]/g)) {
      const piece = line.slice(from, match.index)
      addBranches(open, piece, branch)
      if (header.trim() === '') headerLine = index + 1
      header += piece
      from = match.index + 1
      if (match[0] === '{') {
        const name = functionName(header.slice(-600))
        if (name !== undefined) open.push({ name, line: headerLine, depth, branches: 0 })
        depth++
        header = ''
      } else if (match[0] === '}') {
        depth = Math.max(0, depth - 1)
        const last = open.at(-1)
        if (last !== undefined && last.depth >= depth) {
          open.pop()
          done.push({ name: last.name.slice(0, 80), line: last.line, complexity: last.branches + 1, lines: index + 2 - last.line })
        }
        header = ''
      } else if (!insideParentheses(header)) {
        header = ''
      } else {
        header += ';'
      }
    }
    const rest = line.slice(from)
    addBranches(open, rest, branch)
    if (rest.trim() !== '') {
      if (header.trim() === '') headerLine = index + 1
      header += `${rest} `
      if (header.length > 4_000) header = header.slice(-1_000)
    }
  }
  return done.sort((left, right) => left.line - right.line)
}

/** `for (let i = 0; …` has not ended its header yet. */
function insideParentheses(header: string): boolean {
  let depth = 0
  for (let i = 0; i < header.length; i++) {
    const char = header.charCodeAt(i)
    if (char === 40) depth++
    else if (char === 41) depth--
  }
  return depth > 0
}

function addBranches(open: readonly OpenFunction[], code: string, branch: RegExp): void {
  const innermost = open.at(-1)
  if (innermost === undefined) return
  for (const _ of code.matchAll(branch)) innermost.branches++
}

function indentOf(line: string): number {
  let indent = 0
  for (let i = 0; i < line.length; i++) {
    const char = line.charCodeAt(i)
    if (char === 32) indent++
    else if (char === 9) indent += 8
    else break
  }
  return indent
}

function indentedFunctions(codeLines: readonly string[]): FunctionComplexity[] {
  const done: FunctionComplexity[] = []
  const open: (OpenFunction & { lastLine: number })[] = []
  const close = (indent: number) => {
    for (let last = open.at(-1); last !== undefined && last.depth >= indent; last = open.at(-1)) {
      open.pop()
      done.push({ name: last.name, line: last.line, complexity: last.branches + 1, lines: last.lastLine - last.line + 1 })
    }
  }
  for (const [index, line] of codeLines.entries()) {
    if (line.trim() === '' || line.length > 5_000) continue
    const indent = indentOf(line)
    // A closing bracket may stand at the left margin of a longer signature.
    if (!/^\s*[)\]}]/.test(line)) close(indent)
    const name = /^\s*(?:async\s+)?def\s+(\w{1,80})/.exec(line)?.[1]
    if (name !== undefined) open.push({ name, line: index + 1, depth: indent, branches: 0, lastLine: index + 1 })
    else addBranches(open, line, wordBranch)
    for (const each of open) each.lastLine = index + 1
  }
  close(0)
  return done.sort((left, right) => left.line - right.line)
}

/** `def … end`: a function ends with the first `end` at its own indentation. */
function endedFunctions(codeLines: readonly string[], language: string): FunctionComplexity[] {
  const done: FunctionComplexity[] = []
  const open: OpenFunction[] = []
  const start = language === 'Ruby' ? /^\s*def\s+([\w.?!=]{1,80})/ : language === 'Elixir' ? /^\s*defp?\s+([\w?!]{1,80}).*\bdo\s*$/ : /^\s*(?:local\s+)?function\s+([\w.:!]{1,80})/
  for (const [index, line] of codeLines.entries()) {
    if (line.trim() === '' || line.length > 5_000) continue
    const name = start.exec(line)?.[1]
    const last = open.at(-1)
    if (name !== undefined && !/\bend\s*$/.test(line)) {
      open.push({ name, line: index + 1, depth: indentOf(line), branches: 0 })
    } else if (last !== undefined && /^\s*end\b/.test(line) && indentOf(line) <= last.depth) {
      open.pop()
      done.push({ name: last.name, line: last.line, complexity: last.branches + 1, lines: index + 2 - last.line })
    } else {
      addBranches(open, line, wordBranch)
    }
  }
  return done.sort((left, right) => left.line - right.line)
}
