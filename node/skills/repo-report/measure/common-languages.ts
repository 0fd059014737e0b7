/** The languages met most often, loaded one by one: importing all of Linguist's 800 takes a quarter of a second in every thread. */
import lTypeScript from 'linguist-languages/data/TypeScript'
import lJavaScript from 'linguist-languages/data/JavaScript'
import lTSX from 'linguist-languages/data/TSX'
import lPython from 'linguist-languages/data/Python'
import lJava from 'linguist-languages/data/Java'
import lGo from 'linguist-languages/data/Go'
import lRust from 'linguist-languages/data/Rust'
import lC from 'linguist-languages/data/C'
import lC_2b__2b_ from 'linguist-languages/data/C_2b__2b_'
import lC_23_ from 'linguist-languages/data/C_23_'
import lRuby from 'linguist-languages/data/Ruby'
import lPHP from 'linguist-languages/data/PHP'
import lSwift from 'linguist-languages/data/Swift'
import lKotlin from 'linguist-languages/data/Kotlin'
import lScala from 'linguist-languages/data/Scala'
import lObjective_C from 'linguist-languages/data/Objective-C'
import lDart from 'linguist-languages/data/Dart'
import lLua from 'linguist-languages/data/Lua'
import lPerl from 'linguist-languages/data/Perl'
import lR from 'linguist-languages/data/R'
import lHaskell from 'linguist-languages/data/Haskell'
import lElixir from 'linguist-languages/data/Elixir'
import lErlang from 'linguist-languages/data/Erlang'
import lClojure from 'linguist-languages/data/Clojure'
import lOCaml from 'linguist-languages/data/OCaml'
import lF_23_ from 'linguist-languages/data/F_23_'
import lJulia from 'linguist-languages/data/Julia'
import lGroovy from 'linguist-languages/data/Groovy'
import lGradle from 'linguist-languages/data/Gradle'
import lZig from 'linguist-languages/data/Zig'
import lShell from 'linguist-languages/data/Shell'
import lPowerShell from 'linguist-languages/data/PowerShell'
import lBatchfile from 'linguist-languages/data/Batchfile'
import lHTML from 'linguist-languages/data/HTML'
import lCSS from 'linguist-languages/data/CSS'
import lSCSS from 'linguist-languages/data/SCSS'
import lLess from 'linguist-languages/data/Less'
import lVue from 'linguist-languages/data/Vue'
import lSvelte from 'linguist-languages/data/Svelte'
import lJSON from 'linguist-languages/data/JSON'
import lJSON_20_with_20_Comments from 'linguist-languages/data/JSON_20_with_20_Comments'
import lYAML from 'linguist-languages/data/YAML'
import lTOML from 'linguist-languages/data/TOML'
import lXML from 'linguist-languages/data/XML'
import lSVG from 'linguist-languages/data/SVG'
import lINI from 'linguist-languages/data/INI'
import lMarkdown from 'linguist-languages/data/Markdown'
import lreStructuredText from 'linguist-languages/data/reStructuredText'
import lAsciiDoc from 'linguist-languages/data/AsciiDoc'
import lText from 'linguist-languages/data/Text'
import lSQL from 'linguist-languages/data/SQL'
import lGraphQL from 'linguist-languages/data/GraphQL'
import lProtocol_20_Buffer from 'linguist-languages/data/Protocol_20_Buffer'
import lHCL from 'linguist-languages/data/HCL'
import lDockerfile from 'linguist-languages/data/Dockerfile'
import lMakefile from 'linguist-languages/data/Makefile'
import lCMake from 'linguist-languages/data/CMake'
import lNix from 'linguist-languages/data/Nix'
import lTeX from 'linguist-languages/data/TeX'
import lIgnore_20_List from 'linguist-languages/data/Ignore_20_List'
import lGit_20_Attributes from 'linguist-languages/data/Git_20_Attributes'
import lGit_20_Config from 'linguist-languages/data/Git_20_Config'
import lEditorConfig from 'linguist-languages/data/EditorConfig'
import lMaven_20_POM from 'linguist-languages/data/Maven_20_POM'
import lGo_20_Module from 'linguist-languages/data/Go_20_Module'
import lGo_20_Checksums from 'linguist-languages/data/Go_20_Checksums'
import lCSV from 'linguist-languages/data/CSV'
import lJava_20_Properties from 'linguist-languages/data/Java_20_Properties'
import lDotenv from 'linguist-languages/data/Dotenv'
import lJupyter_20_Notebook from 'linguist-languages/data/Jupyter_20_Notebook'
import lVim_20_script from 'linguist-languages/data/Vim_20_script'
import lEmacs_20_Lisp from 'linguist-languages/data/Emacs_20_Lisp'
import lAssembly from 'linguist-languages/data/Assembly'
import lSolidity from 'linguist-languages/data/Solidity'
import lMDX from 'linguist-languages/data/MDX'
import lAstro from 'linguist-languages/data/Astro'
import lPip_20_Requirements from 'linguist-languages/data/Pip_20_Requirements'

/** A language as GitHub Linguist describes it. */
export interface Language {
  readonly name: string
  readonly type: string
  readonly color?: string
  readonly extensions?: readonly string[]
  readonly filenames?: readonly string[]
  readonly interpreters?: readonly string[]
}

/** In order of preference where two claim the same extension. */
export const commonLanguages: readonly Language[] = [
  lTypeScript, lJavaScript, lTSX, lPython, lJava, lGo, lRust, lC,
  lC_2b__2b_, lC_23_, lRuby, lPHP, lSwift, lKotlin, lScala, lObjective_C,
  lDart, lLua, lPerl, lR, lHaskell, lElixir, lErlang, lClojure,
  lOCaml, lF_23_, lJulia, lGroovy, lGradle, lZig, lShell, lPowerShell,
  lBatchfile, lHTML, lCSS, lSCSS, lLess, lVue, lSvelte, lJSON,
  lJSON_20_with_20_Comments, lYAML, lTOML, lXML, lSVG, lINI, lMarkdown, lreStructuredText,
  lAsciiDoc, lText, lSQL, lGraphQL, lProtocol_20_Buffer, lHCL, lDockerfile, lMakefile,
  lCMake, lNix, lTeX, lIgnore_20_List, lGit_20_Attributes, lGit_20_Config, lEditorConfig, lMaven_20_POM,
  lGo_20_Module, lGo_20_Checksums, lCSV, lJava_20_Properties, lDotenv, lJupyter_20_Notebook, lVim_20_script, lEmacs_20_Lisp,
  lAssembly, lSolidity, lMDX, lAstro, lPip_20_Requirements,
]
