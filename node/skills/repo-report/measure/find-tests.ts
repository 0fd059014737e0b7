/** Which files are tests, and how many cases they hold. */

const testFolder = /(^|\/)(tests?|specs?|__tests__|e2e|testing|src\/test)\//i
const testName = /(?:[._-](?:test|spec|tests|e2e|cy)\.[a-z0-9]+$)|(?:^test_[^/]*\.py$)|(?:_test\.(?:go|py|rb|exs|dart|cc|cpp|c)$)|(?:(?:Test|Tests|IT|Spec)\.(?:java|kt|kts|cs|scala|groovy|swift|php)$)/

/** By its place or its name. */
export function isTestPath(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1)
  return testFolder.test(path) || testName.test(name)
}

const script = /(?:^|[^.\w$])(?:it|test|specify|Deno\.test)(?:\.(?:only|skip|each|concurrent|failing|todo|sequential|prop))*\s*(?:\(|`)/g
const annotated = /@(?:Test|ParameterizedTest|RepeatedTest|Property)\b/g

const casePatterns: Readonly<Record<string, RegExp>> = {
  JavaScript: script,
  TypeScript: script,
  TSX: script,
  CoffeeScript: /^\s*(?:it|test)\s/g,
  Python: /^\s*(?:async\s+)?def\s+test\w*/g,
  Go: /^func\s+(?:Test|Benchmark|Fuzz|Example)\w*\s*\(/g,
  Rust: /#\[(?:\w+::)?test\b/g,
  Java: annotated,
  Kotlin: annotated,
  Groovy: annotated,
  Scala: /(?:^|\s)(?:test|it|should|in)\s*(?:\(|\{)/g,
  'C#': /\[(?:Fact|Theory|Test|TestCase|TestMethod)\b/g,
  'F#': /\[<(?:Fact|Theory|Test)\b/g,
  Ruby: /^\s*(?:it|specify|scenario|test)\s+["'(]|^\s*def\s+test_/g,
  PHP: /function\s+test\w+\s*\(|#\[Test\]/g,
  C: /^\s*(?:TEST|START_TEST|Test)\s*\(/g,
  'C++': /^\s*(?:TEST|TEST_F|TEST_P|TYPED_TEST|TEST_CASE|SCENARIO|BOOST_AUTO_TEST_CASE)\s*\(/g,
  Swift: /func\s+test\w*\s*\(|@Test\b/g,
  Elixir: /^\s*(?:test|property)\s+"/g,
  Dart: /(?:^|\s)(?:test|testWidgets)\s*\(/g,
  Julia: /@test\b|@testset\b/g,
  Shell: /^\s*@test\s/g,
}

/** @param codeLines code without comments and without the content of strings, so that quoted code does not count. */
export function countTestCases(language: string, codeLines: readonly string[]): number {
  const pattern = casePatterns[language]
  if (pattern === undefined) return 0
  let cases = 0
  for (const line of codeLines) {
    if (line.length > 1_000) continue
    for (const _ of line.matchAll(pattern)) cases++
  }
  return cases
}
