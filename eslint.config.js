import js from '@eslint/js'
import tseslint from 'typescript-eslint'

const typescript = ['**/*.ts', '**/*.tsx']
const pureRooms = ['protocols/**/*.ts', 'actors/**/*.ts', 'sim/**/*.ts']
const sourceRooms = ['protocols/**/*.ts', 'actors/**/*.ts', 'node/**/*.ts', 'sim/**/*.ts', 'scripts/**/*.ts', 'web/**/*.{ts,tsx}', 'examples/**/*.ts']

const time = 'Time is an argument here (`now`), and timers are outputs.'
const entropy = 'Randomness is an argument here: protocols/kernel/prng.ts, seeded through the entropy port.'
const io = 'No I/O here: put it behind a port in actors/ports/, with an adapter in node/.'
const speech = 'Nobody prints here: publish a fact, or use the telemetry port.'

const noArgumentDate = [
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: time },
  { selector: "CallExpression[callee.name='Date']", message: time },
]

export default tseslint.config(
  { ignores: ['**/node_modules/', 'dist/', 'coverage/', 'test/fixtures/', '.skein/', 'skein-report/', 'examples/**/dist/'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  js.configs.recommended,
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      globals: { process: 'readonly', console: 'readonly', URL: 'readonly', module: 'writable', require: 'readonly', exports: 'readonly', __dirname: 'readonly', Buffer: 'readonly', setTimeout: 'readonly', setInterval: 'readonly', clearTimeout: 'readonly', clearInterval: 'readonly' },
    },
  },
  { files: ['bin/*.js', '**/*.cjs'], languageOptions: { sourceType: 'commonjs' } },
  // These two must parse on any Node, however old.
  { files: ['bin/*.js'], languageOptions: { ecmaVersion: 5 }, rules: { 'no-unused-vars': ['error', { caughtErrors: 'none' }] } },
  {
    files: typescript,
    extends: [tseslint.configs.recommended],
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['vitest.config.ts'] }, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/ban-ts-comment': ['error', { 'ts-expect-error': true, 'ts-ignore': true, 'ts-nocheck': true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports', disallowTypeAnnotations: false }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: false }],
      // tsc reports these (noUnusedLocals, noUnusedParameters); a leading underscore says "on purpose".
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'none' }],
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
    },
  },
  // A schema and its type share one name on purpose: `export const X = z.object(…)`, `export type X = z.infer<typeof X>`.
  { files: typescript, rules: { 'no-redeclare': 'off' } },
  { files: [...typescript, 'scripts/*.js', '*.js', 'bin/*.mjs'], rules: { semi: ['error', 'never'], quotes: ['error', 'single', { avoidEscape: true, allowTemplateLiterals: true }] } },
  { files: sourceRooms, rules: { 'max-lines': ['error', { max: 400 }] } },
  {
    files: pureRooms,
    rules: {
      'no-console': 'error',
      'no-restricted-globals': [
        'error',
        ...['setTimeout', 'setInterval', 'setImmediate', 'performance'].map((name) => ({ name, message: time })),
        ...['process', 'fetch'].map((name) => ({ name, message: io })),
        { name: 'crypto', message: entropy },
        { name: 'console', message: speech },
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: time },
        { object: 'performance', property: 'now', message: time },
        { object: 'Math', property: 'random', message: entropy },
        ...['setTimeout', 'setInterval', 'setImmediate', 'performance'].map((property) => ({ object: 'globalThis', property, message: time })),
      ],
      'no-restricted-syntax': ['error', ...noArgumentDate],
      'no-restricted-imports': ['error', { patterns: [{ group: ['node:*'], message: io }] }],
    },
  },
  {
    files: ['protocols/**/*.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        ...noArgumentDate,
        { selector: ':function[async=true]', message: 'Machines are synchronous: return an output and take its answer as an input.' },
      ],
    },
  },
)
