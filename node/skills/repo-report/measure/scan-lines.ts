/**
 * Tells code, comment and blank lines apart. Definitions, as `cloc` has them: a line with any code is code; one with only
 * comment is comment; one with only white space is blank, inside comments too. The physical lines are the newline-terminated
 * ones and a final one without newline, so the three always add up to them.
 */
import type { BlockComment, CommentSyntax, StringLiteral } from './comment-syntax.ts'

export interface ScannedLines {
  readonly lines: number
  readonly code: number
  readonly comment: number
  readonly blank: number
  /** Each line's code, with comments removed and the content of strings left out; empty for other lines. */
  readonly codeLines: readonly string[]
  /** Each line's comment, with its signs; empty for other lines. */
  readonly commentLines: readonly string[]
}

/** Splits into physical lines; the text after the last newline is one only when it is not empty. */
export function physicalLines(text: string): string[] {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

export function scanLines(text: string, syntax: CommentSyntax): ScannedLines {
  const scanner = new Scanner(syntax)
  const lines = physicalLines(text)
  const codeLines: string[] = []
  const commentLines: string[] = []
  let code = 0
  let comment = 0
  let blank = 0
  for (const [index, line] of lines.entries()) {
    // The line that names the interpreter is read by the system: it is code, whatever the language's comments look like.
    const found = index === 0 && line.startsWith('#!') ? { code: '', comment: '', hasCode: true, hasComment: false } : scanner.line(line)
    codeLines.push(found.code)
    commentLines.push(found.comment)
    if (line.trim() === '') blank++
    else if (found.hasCode || !found.hasComment) code++
    else comment++
  }
  return { lines: lines.length, code, comment, blank, codeLines, commentLines }
}

/** Characters after which a `/` begins a regular expression rather than a division. */
const beforeRegex = /(?:^|[([{,;=:!&|?+\-*%~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|await|yield))\s*$/

class Scanner {
  readonly #syntax: CommentSyntax
  readonly #starts: RegExp | undefined
  #block: BlockComment | undefined
  #blockDepth = 0
  #string: StringLiteral | undefined
  #stringIsComment = false
  /** Depth of braces inside each open `${`. */
  readonly #templates: { readonly literal: StringLiteral; braces: number }[] = []

  constructor(syntax: CommentSyntax) {
    this.#syntax = syntax
    const openers = [...syntax.line, ...syntax.block.map((block) => block.open), ...syntax.strings.map((literal) => literal.open)]
    if (syntax.regexLiterals === true) openers.push('/')
    if (syntax.charLiterals === true) openers.push("'")
    if (syntax.strings.some((literal) => literal.template)) openers.push('{', '}')
    const unique = [...new Set(openers)].sort((left, right) => right.length - left.length)
    this.#starts = unique.length === 0 ? undefined : new RegExp(unique.map((opener) => opener.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'g')
  }

  line(line: string): { code: string; comment: string; hasCode: boolean; hasComment: boolean } {
    let code = ''
    let comment = ''
    let hasCode = false
    let hasComment = false
    let at = 0
    const keep = (text: string) => {
      code += text
      hasCode ||= text.trim() !== ''
    }
    while (at < line.length) {
      if (this.#block !== undefined) {
        hasComment = true
        const from = at
        at = this.#insideBlock(line, at)
        comment += line.slice(from, at)
        continue
      }
      if (this.#string !== undefined) {
        if (this.#stringIsComment) hasComment = true
        else hasCode = true
        const from = at
        at = this.#insideString(line, at)
        if (this.#stringIsComment) comment += line.slice(from, at)
        if (this.#string === undefined && !this.#stringIsComment) code += '"'
        continue
      }
      const found = this.#next(line, at)
      if (found === undefined) {
        keep(line.slice(at))
        break
      }
      keep(line.slice(at, found.index))
      const opener = found[0]
      at = found.index + opener.length
      const block = this.#syntax.block.find((candidate) => candidate.open === opener)
      if (block !== undefined && (block.atLineStart !== true || found.index === 0)) {
        this.#block = block
        this.#blockDepth = 1
        hasComment = true
        comment += opener
      } else if (this.#syntax.line.includes(opener) && this.#isLineComment(line, found.index)) {
        hasComment = true
        comment += line.slice(found.index)
        break
      } else {
        at = this.#open(line, found.index, opener, at, hasCode, code, keep)
        if (this.#string !== undefined && this.#stringIsComment) hasComment = true
        else if (this.#string !== undefined) hasCode = true
      }
    }
    // An unclosed quote of a one-line string is an apostrophe or a mistake: it ends with its line.
    if (this.#string !== undefined && this.#string.multiLine !== true && !line.endsWith('\\')) this.#string = undefined
    return { code: code.trimEnd(), comment, hasCode, hasComment }
  }

  #next(line: string, at: number): RegExpExecArray | undefined {
    if (this.#starts === undefined) return undefined
    this.#starts.lastIndex = at
    return this.#starts.exec(line) ?? undefined
  }

  #isLineComment(line: string, index: number): boolean {
    return this.#syntax.lineNeedsSpace !== true || index === 0 || /\s/.test(line.charAt(index - 1))
  }

  /** Something that is neither block nor line comment begins at `index`. @returns where to go on. */
  #open(line: string, index: number, opener: string, after: number, hasCode: boolean, code: string, keep: (text: string) => void): number {
    const literal = this.#syntax.strings.find((candidate) => candidate.open === opener)
    if (literal !== undefined) {
      this.#string = literal
      this.#stringIsComment = literal.docstring === true && !hasCode
      if (!this.#stringIsComment) keep('"')
      return after
    }
    if (opener === '/' && this.#syntax.regexLiterals === true && beforeRegex.test(code)) {
      const end = regexEnd(line, after)
      if (end > 0) {
        keep('/ /')
        return end
      }
    }
    if (opener === "'" && this.#syntax.charLiterals === true) {
      const char = /^'(?:\\.[^']*|[^\\'])'/.exec(line.slice(index, index + 16))
      keep(char === null ? opener : '" "')
      return char === null ? after : index + char[0].length
    }
    const template = this.#templates.at(-1)
    if (template !== undefined && opener === '{') template.braces++
    if (template !== undefined && opener === '}') {
      if (template.braces === 0) {
        this.#templates.pop()
        this.#string = template.literal
        this.#stringIsComment = false
        return after
      }
      template.braces--
    }
    keep(opener)
    return after
  }

  #insideBlock(line: string, at: number): number {
    const block = this.#block
    if (block === undefined) return at
    if (block.atLineStart === true) {
      if (at === 0 && line.startsWith(block.close)) this.#block = undefined
      return line.length
    }
    const close = line.indexOf(block.close, at)
    const open = block.nested === true ? line.indexOf(block.open, at) : -1
    if (open >= 0 && (close < 0 || open < close)) {
      this.#blockDepth++
      return open + block.open.length
    }
    if (close < 0) return line.length
    this.#blockDepth--
    if (this.#blockDepth === 0) this.#block = undefined
    return close + block.close.length
  }

  #insideString(line: string, at: number): number {
    const literal = this.#string
    if (literal === undefined) return at
    for (let i = at; i < line.length; i++) {
      if (literal.escapes === true && line.charCodeAt(i) === 92) {
        i++
      } else if (line.startsWith(literal.close, i)) {
        this.#string = undefined
        return i + literal.close.length
      } else if (literal.template === true && line.startsWith('${', i)) {
        this.#templates.push({ literal, braces: 0 })
        this.#string = undefined
        return i + 2
      }
    }
    return line.length
  }
}

/** @returns the index behind the closing slash, or -1 when the line has none. */
function regexEnd(line: string, from: number): number {
  let inClass = false
  for (let i = from; i < line.length; i++) {
    const char = line.charAt(i)
    if (char === '\\') i++
    else if (char === '[') inClass = true
    else if (char === ']') inClass = false
    else if (char === '/' && !inClass) return i + 1
  }
  return -1
}
