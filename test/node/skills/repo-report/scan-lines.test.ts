import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { commentSyntaxOf } from '../../../../node/skills/repo-report/measure/comment-syntax.ts'
import { physicalLines, scanLines } from '../../../../node/skills/repo-report/measure/scan-lines.ts'
import { folderWith } from '../../folders/temporary-folder.ts'
import { buildReport } from './report-in-process.ts'

const counts = (language: string, text: string) => {
  const { code, comment, blank } = scanLines(text, commentSyntaxOf(language))
  return [code, comment, blank]
}

describe('lines', () => {
  it('counts physical lines as newlines, and a last line without one', () => {
    for (const [text, lines] of [['', 0], ['\n', 1], ['a', 1], ['a\n', 1], ['a\nb', 2], ['a\n\n', 2]] as const) expect(physicalLines(text)).toHaveLength(lines)
  })

  const cases: readonly (readonly [string, string, readonly [code: number, comment: number, blank: number]])[] = [
    ['TypeScript', '// a\nconst b = 1 // c\n\n/* d\n\ne */ f()\n/* g */\n', [2, 3, 2]],
    ['TypeScript', 'const url = "http://x" /* y */\nconst s = "/*"\nconst t = 1\n', [3, 0, 0]],
    ['TypeScript', 'const a = `\n// not a comment\n${b /* one */}\n`\n// a comment\n', [4, 1, 0]],
    ['TypeScript', 'const a = `${`${b}`}`\n// c\nconst d = { e: `${{ f: 1 }.f}` }\n// g\n', [2, 2, 0]],
    ['JavaScript', 'const re = /\\/*["\'`]/\n// c\nx = a / b / c // d\ny = [/[/*]/]\n// e\n', [3, 2, 0]],
    ['Python', '"""Module\n\ntext"""\nx = """not\ndoc"""\n# c\ny = "#"\n', [3, 3, 1]],
    ['Rust', "/* a /* nested */ still */\nfn f<'a>(x: &'a str) -> char { '\"' }\n// b\n", [1, 2, 0]],
    ['Shell', '#!/bin/sh\necho ${#x} # c\n# d\n', [2, 1, 0]],
    ['HTML', '<!-- a\nb -->\n<p>c</p> <!-- d -->\n', [1, 2, 0]],
    ['SQL', '-- a\nselect 1; -- b\n/* c */\n', [1, 2, 0]],
    ['Ruby', '=begin\na\n=end\nputs 1 # b\n', [1, 3, 0]],
    ['Lua', '--[[ a\nb ]]\nprint(1) -- c\n-- d\n', [1, 3, 0]],
    ['Go', 'x := `\n// raw\n`\n// c\n', [3, 1, 0]],
    ['JSON', '{\n  "a": "// b"\n}\n\n', [3, 0, 1]],
    ['Something unheard of', '# a\n\nb', [2, 0, 1]],
  ]
  it.each(cases)('%s: %j', (language, text, expected) => {
    expect(counts(language, text)).toEqual(expected)
  })

  it('adds up to the physical lines for any text', async () => {
    const source = await readFile(join(import.meta.dirname, 'scan-lines.test.ts'), 'utf8')
    for (const language of ['TypeScript', 'Python', 'Rust', 'Shell', 'HTML', 'SQL', 'OCaml', 'JSON', 'Vue', 'Pascal']) {
      const scanned = scanLines(source, commentSyntaxOf(language))
      expect(scanned.code + scanned.comment + scanned.blank).toBe(scanned.lines)
      expect(scanned.codeLines).toHaveLength(scanned.lines)
    }
  })
})

/** Whether `cloc` is on this machine. */
function clocThere(): boolean {
  try {
    execFileSync('cloc', ['--version'], { stdio: 'pipe' })
    return true
  } catch {
    process.stdout.write('skipped: agreement with cloc, because cloc is not installed\n')
    return false
  }
}

describe.skipIf(!clocThere())('agreement with cloc', () => {
  it('counts this repository and a package as cloc does', { timeout: 120_000 }, async () => {
    const root = join(import.meta.dirname, '../../../..')
    for (const folder of [join(root, 'node/folders'), join(root, 'protocols'), join(root, 'node_modules/libp2p')]) {
      const cloc = JSON.parse(execFileSync('cloc', ['--json', '--skip-uniqueness', '--quiet', '--max-file-size=100', folder], { maxBuffer: 1e8 }).toString()) as Record<string, { nFiles: number; code: number; comment: number; blank: number }>
      const { report } = await buildReport(folder, { pack: { respectGitignore: false } })
      for (const name of ['TypeScript', 'JavaScript', 'JSON', 'Markdown']) {
        const theirs = cloc[name]
        const ours = report.languages.find((language) => language.name === name)
        if (theirs === undefined || ours === undefined) continue
        // cloc leaves minified files out.
        if (theirs.nFiles !== ours.files) continue
        expect(ours.lines, `${folder} ${name}`).toBe(theirs.code + theirs.comment + theirs.blank)
        expect(Math.abs(ours.code - theirs.code), `${folder} ${name} code`).toBeLessThanOrEqual(Math.max(2, theirs.code * 0.01))
        expect(Math.abs(ours.comment - theirs.comment), `${folder} ${name} comment`).toBeLessThanOrEqual(Math.max(2, theirs.comment * 0.02))
      }
    }
  })

  it('agrees on other languages', async () => {
    const folder = await folderWith({
      'a.py': '"""Doc\nstring."""\n# c\n\ndef f(x):\n    """One."""\n    return "#" + x  # d\n',
      'a.go': 'package a\n\n// c\nfunc F() string { /* d */\n\treturn "//" }\n/*\ne\n*/\n',
      'a.rs': '// c\nfn main() {\n    /* d */\n    println!("/* x");\n}\n',
      'a.java': '/** c */\nclass A {\n\n  // d\n  int x = 1; // e\n}\n',
      'a.rb': '# c\nputs "x" # d\n=begin\ne\n=end\n',
      'a.sh': '#!/bin/bash\n# c\necho "x" # d\n\n',
      'a.css': '/* c */\na { b: c }\n\n/*\nd */\n',
      'a.html': '<!-- c -->\n<p>x</p>\n\n',
      'a.yaml': '# c\na: b # d\n\n',
      'a.sql': '-- c\nselect 1; -- d\n',
      'a.c': '/* c\n d */\nint main(void) { return 0; } // e\n',
    })
    const cloc = JSON.parse(execFileSync('cloc', ['--json', '--skip-uniqueness', '--quiet', folder]).toString()) as Record<string, { code: number; comment: number; blank: number }>
    const { report } = await buildReport(folder)
    const theirName: Record<string, string> = { Shell: 'Bourne Shell' }
    for (const ours of report.languages) {
      const theirs = cloc[theirName[ours.name] ?? ours.name]
      expect(theirs, ours.name).toMatchObject({ code: ours.code, comment: ours.comment, blank: ours.blank })
    }
  })
})
