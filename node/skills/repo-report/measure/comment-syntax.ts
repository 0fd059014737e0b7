/** How each language writes comments and strings: the least that telling code from comment needs. Names are GitHub Linguist's. */

export interface BlockComment {
  readonly open: string
  readonly close: string
  readonly nested?: boolean
  /** Only where the line begins with it (Ruby's `=begin`). */
  readonly atLineStart?: boolean
}

export interface StringLiteral {
  readonly open: string
  readonly close: string
  readonly multiLine?: boolean
  /** A backslash escapes the next character. */
  readonly escapes?: boolean
  /** Standing alone at the start of a line it is documentation, counted as comment (Python). */
  readonly docstring?: boolean
  /** `${ … }` inside holds code again. */
  readonly template?: boolean
}

export interface CommentSyntax {
  readonly line: readonly string[]
  readonly block: readonly BlockComment[]
  readonly strings: readonly StringLiteral[]
  /** `/…/` after an operator is a regular expression, which may hold quotes and comment signs. */
  readonly regexLiterals?: boolean
  /** A line comment counts only at the start or after white space (`${#x}` in shells). */
  readonly lineNeedsSpace?: boolean
  /** `'` opens a character only when one follows (Rust's lifetimes). */
  readonly charLiterals?: boolean
}

const double: StringLiteral = { open: '"', close: '"', escapes: true }
const single: StringLiteral = { open: "'", close: "'", escapes: true }
const cBlock: BlockComment = { open: '/*', close: '*/' }
const sgml: BlockComment = { open: '<!--', close: '-->' }
const ml: BlockComment = { open: '(*', close: '*)', nested: true }

const cLike: CommentSyntax = { line: ['//'], block: [cBlock], strings: [double, single] }
const javaLike: CommentSyntax = { ...cLike, strings: [{ open: '"""', close: '"""', multiLine: true, escapes: true }, double, single] }
const script: CommentSyntax = { ...cLike, strings: [double, single, { open: '`', close: '`', multiLine: true, escapes: true, template: true }], regexLiterals: true }
const hash: CommentSyntax = { line: ['#'], block: [], strings: [double, single] }
const shell: CommentSyntax = { ...hash, lineNeedsSpace: true }
const dashes: CommentSyntax = { line: ['--'], block: [], strings: [double, single] }
const semicolon: CommentSyntax = { line: [';'], block: [], strings: [double] }
const percent: CommentSyntax = { line: ['%'], block: [], strings: [] }
const markup: CommentSyntax = { line: [], block: [sgml], strings: [] }
const component: CommentSyntax = { line: ['//'], block: [sgml, cBlock], strings: [] }

function all(syntax: CommentSyntax, names: string): [string, CommentSyntax][] {
  return names.split(',').map((name) => [name.trim(), syntax])
}

const table = new Map<string, CommentSyntax>([
  ...all(cLike, 'C, C++, C#, Objective-C, Objective-C++, Dart, D, Solidity, Protocol Buffer, Cuda, GLSL, HLSL, WGSL, Metal, Verilog, SystemVerilog, Thrift, Zig, Cap\'n Proto, Gradle, Less, SCSS, JSON with Comments, JSON5, ActionScript, Vala, OpenCL, Apex, Stylus, V, Odin, Bicep'),
  ...all(javaLike, 'Java, Kotlin, Scala, Groovy'),
  ...all(script, 'JavaScript, TypeScript, TSX, JSX, Astro, CoffeeScript Literate'),
  ['Go', { ...cLike, strings: [double, single, { open: '`', close: '`', multiLine: true }] }],
  ['Go Module', { line: ['//'], block: [], strings: [] }],
  ['Rust', { line: ['//'], block: [{ ...cBlock, nested: true }], strings: [{ open: 'r#"', close: '"#', multiLine: true }, { ...double, multiLine: true }], charLiterals: true }],
  ['Swift', { line: ['//'], block: [{ ...cBlock, nested: true }], strings: [{ open: '"""', close: '"""', multiLine: true, escapes: true }, double] }],
  ['PHP', { line: ['//', '#'], block: [cBlock], strings: [double, single] }],
  ['CSS', { line: [], block: [cBlock], strings: [double, single] }],
  ['Python', { line: ['#'], block: [], strings: [{ open: '"""', close: '"""', multiLine: true, escapes: true, docstring: true }, { open: "'''", close: "'''", multiLine: true, escapes: true, docstring: true }, double, single] }],
  ...all(hash, 'YAML, TOML, Perl, R, Raku, Nim, CMake, GraphQL, Nix, Ignore List, Git Attributes, Git Config, EditorConfig, Crystal, Gemfile.lock, Just, Starlark, Pip Requirements, Meson, Puppet, Cython, Awk, sed, Gettext Catalog, Tcl, Elixir'),
  ...all(shell, 'Shell, Dockerfile, Makefile, fish, Java Properties, Dotenv, Nginx, ApacheConf, systemd, ShellSession'),
  ['Ruby', { line: ['#'], block: [{ open: '=begin', close: '=end', atLineStart: true }], strings: [double, single] }],
  ['HCL', { line: ['#', '//'], block: [cBlock], strings: [double] }],
  ['PowerShell', { line: ['#'], block: [{ open: '<#', close: '#>' }], strings: [{ open: '"', close: '"' }, { open: "'", close: "'" }] }],
  ['Julia', { line: ['#'], block: [{ open: '#=', close: '=#', nested: true }], strings: [{ open: '"""', close: '"""', multiLine: true, escapes: true }, double] }],
  ['CoffeeScript', { line: ['#'], block: [{ open: '###', close: '###' }], strings: [double, single] }],
  ['Lua', { line: ['--'], block: [{ open: '--[[', close: ']]' }], strings: [double, single] }],
  ...all({ ...dashes, block: [cBlock] }, 'SQL, PLpgSQL, PLSQL, TSQL, SQLPL'),
  ...all({ line: ['--'], block: [{ open: '{-', close: '-}', nested: true }], strings: [double] }, 'Haskell, Elm, PureScript, Idris, Agda'),
  ...all(dashes, 'VHDL, Ada, AppleScript'),
  ...all(markup, 'HTML, XML, SVG, Markdown, XSLT, MDX, Jinja, Handlebars, Maven POM, HTML+ERB, HTML+EJS, XML Property List'),
  ...all(component, 'Vue, Svelte'),
  ...all(semicolon, 'Clojure, Common Lisp, Emacs Lisp, Assembly, Unix Assembly, NASL, Racket, edn, LLVM, AutoHotkey'),
  ['Scheme', { ...semicolon, block: [{ open: '#|', close: '|#', nested: true }] }],
  ['INI', { line: [';', '#'], block: [], strings: [] }],
  ...all(percent, 'Erlang, TeX, MATLAB, Prolog, BibTeX Style, PostScript'),
  ['OCaml', { line: [], block: [ml], strings: [double] }],
  ['Standard ML', { line: [], block: [ml], strings: [double] }],
  ['F#', { line: ['//'], block: [ml], strings: [double] }],
  ['Pascal', { line: ['//'], block: [{ open: '{', close: '}' }, { open: '(*', close: '*)' }], strings: [{ open: "'", close: "'" }] }],
  ['Fortran', { line: ['!'], block: [], strings: [] }],
  ['Fortran Free Form', { line: ['!'], block: [], strings: [] }],
  ...all({ line: ["'"], block: [], strings: [{ open: '"', close: '"' }] }, 'Visual Basic .NET, VBA, VBScript, Visual Basic 6.0'),
  ['Vim Script', { line: ['"'], block: [], strings: [], lineNeedsSpace: true }],
  ['Batchfile', { line: ['REM ', 'rem ', '::', '@rem ', '@REM '], block: [], strings: [] }],
  ['reStructuredText', { line: [], block: [], strings: [] }],
])

const none: CommentSyntax = { line: [], block: [], strings: [] }

/** @returns the language's syntax, or one without comments for a language that is not known here. */
export function commentSyntaxOf(language: string): CommentSyntax {
  return table.get(language) ?? none
}
