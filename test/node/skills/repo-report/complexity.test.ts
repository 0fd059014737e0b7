import { describe, expect, it } from 'vitest'
import { findDuplicates } from '../../../../node/skills/repo-report/find-duplicates.ts'
import { commentSyntaxOf } from '../../../../node/skills/repo-report/measure/comment-syntax.ts'
import { measureComplexity } from '../../../../node/skills/repo-report/measure/complexity.ts'
import { detectLanguage } from '../../../../node/skills/repo-report/measure/detect-language.ts'
import { decodeFingerprints, encodeFingerprints, fingerprintFile, fingerprintSet, mergeFingerprints } from '../../../../node/skills/repo-report/measure/fingerprints.ts'
import { physicalLines, scanLines } from '../../../../node/skills/repo-report/measure/scan-lines.ts'

const found = (language: string, text: string) => measureComplexity(language, scanLines(text, commentSyntaxOf(language)).codeLines).map((each) => [each.name, each.line, each.complexity])

describe('complexity', () => {
  const cases: readonly (readonly [string, string, readonly (readonly [string, number, number])[]])[] = [
    ['TypeScript', 'function a(x) {\n  if (x && y || z) return x ? 1 : 2\n}\n', [['a', 1, 5]]],
    ['TypeScript', 'class A {\n  async run<T>(of: T): Promise<void> {\n    for (const a of b) { while (c) d() }\n  }\n  get x() { return 1 }\n}\n', [['run', 2, 3], ['x', 5, 1]]],
    ['TypeScript', 'const f = async (a: string): Promise<number> => {\n  try { g() } catch { h() }\n}\nlist.map((x) => { return x ?? 1 })\n', [['f', 1, 2], ['(anonymous)', 4, 2]]],
    ['TypeScript', 'interface A { b?: string; c(d?: number): void }\nfunction e(f?: string, g = { h: 1 }) { return f?.length }\n', [['e', 2, 1]]],
    ['TypeScript', 'if (a) {\n  b()\n}\nfor (let i = 0; i < 3; i++) { c() }\nswitch (d) { case 1: e() }\n', []],
    ['Java', 'public class A {\n  public int b(int c) throws X {\n    switch (c) { case 1: case 2: return 1; }\n    return 0;\n  }\n}\n', [['b', 2, 3]]],
    ['Go', 'func (s *S) Run(a int) error {\n\tif a > 1 && a < 3 {\n\t\treturn nil\n\t}\n}\n', [['Run', 1, 3]]],
    ['Rust', "fn f<'a>(x: &'a str) -> u8 {\n    match x { \"a\" => 1, _ => 2 }\n}\n", [['f', 1, 3]]],
    ['C', 'static int\nadd(int a, int b)\n{\n  if (a) { return b; }\n  return a;\n}\n', [['add', 1, 2]]],
    ['Python', 'def a(x):\n    if x and y:\n        return 1\n    def b():\n        for z in x: pass\n    return [w for w in x if w]\n\nc = 1 if d else 2\n', [['a', 1, 5], ['b', 4, 2]]],
    ['Ruby', 'def a(x)\n  return 1 if x\n  x.each do |y|\n    puts y unless y\n  end\nend\n', [['a', 1, 3]]],
    ['Markdown', 'function a() {}\n', []],
  ]
  it.each(cases)('%s: %j', (language, text, expected) => {
    expect(found(language, text)).toEqual(expected)
  })

  it('takes no time to speak of for hostile text', () => {
    const nasty = [`const a = ${'('.repeat(50_000)} => {`, `${'a '.repeat(2_000)}(${' '.repeat(2_000)}) {`, `${'<'.repeat(4_000)}() {`, 'x=>{'.repeat(1_000)]
    const started = process.cpuUsage()
    for (const text of nasty) found('TypeScript', `${text}\n`.repeat(5))
    // Milliseconds where it is linear, minutes where an expression backtracks.
    expect(process.cpuUsage(started).user / 1_000).toBeLessThan(5_000)
  })
})

describe('languages', () => {
  it.each([
    ['a.ts', 'const a = 1', 'TypeScript'], ['a.h', 'int f(void);', 'C'], ['a.h', 'namespace a {}', 'C++'], ['Makefile', 'all:', 'Makefile'], ['Dockerfile.dev', 'FROM x', 'Dockerfile'],
    ['run', '#!/usr/bin/env -S node --flag\n', 'JavaScript'], ['run', '#!/usr/bin/python3.12\n', 'Python'], ['x.d.ts', '', 'TypeScript'], ['a.unheardof', 'x', 'Other text'], ['LICENSE', 'MIT', 'Text'],
    ['a.zig', 'fn', 'Zig'], ['b.pas', 'begin', 'Pascal'], ['a.js.map', '{"version":3}', 'Source map'], ['constructor', 'x', 'Other text'],
  ])('%s %j is %s', async (path, text, name) => {
    expect((await detectLanguage(path, text)).name).toBe(name)
  })
})

describe('repeated code', () => {
  const lines = (name: string, count: number) => Array.from({ length: count }, (_, index) => `${name}.call(${index}, "argument ${index}")`)
  const marks = (path: string, text: readonly string[]) => {
    const physical = physicalLines(text.join('\n'))
    return fingerprintFile(path, physical, physical)
  }

  it('is found across sets that were made apart, sent and merged', () => {
    const shared = lines('shared', 30)
    const sets = [
      [marks('a.ts', [...lines('a', 20), ...shared, ...lines('b', 20)])],
      [marks('b.ts', [...lines('c', 5), ...shared])],
      [marks('c.ts', lines('d', 60))],
    ].map((files) => decodeFingerprints(encodeFingerprints(fingerprintSet(files.filter((file) => file !== undefined)))))
    const duplicates = findDuplicates(mergeFingerprints(sets), 10)
    expect(duplicates).toMatchObject({ lines: 60, files: 2, sampled: false })
    expect(duplicates.groups).toEqual([{ lines: 30, places: [{ path: 'a.ts', fromLine: 21, toLine: 50 }, { path: 'b.ts', fromLine: 6, toLine: 35 }] }])
  })

  it('is found within one file, and short or single pieces are not', () => {
    const twice = marks('a.ts', [...lines('x', 12), ...lines('y', 3), ...lines('x', 12)])
    expect(findDuplicates(fingerprintSet(twice === undefined ? [] : [twice]), 10)).toMatchObject({ lines: 24, groups: [{ lines: 12 }] })
    const short = [marks('a.ts', [...lines('s', 7), ...lines('a', 9)]), marks('b.ts', [...lines('s', 7), ...lines('b', 9)])].filter((file) => file !== undefined)
    expect(findDuplicates(fingerprintSet(short), 10)).toMatchObject({ lines: 0, groups: [] })
    expect(marks('tiny.ts', lines('t', 3))).toBeUndefined()
  })
})
