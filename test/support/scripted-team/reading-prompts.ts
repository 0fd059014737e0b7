/** What a prompt of the agents says, taken out of it again: a scripted model that answers from these cannot know anything else. */

export interface DataBlock {
  readonly name: string
  readonly text: string
}

/** Everything between data marks, in order. */
export function dataIn(prompt: string): DataBlock[] {
  return [...prompt.matchAll(/<data name=("(?:[^"\\]|\\.)*") mark="(\w+)">\n([\s\S]*?)\n<\/data mark="\2">/g)].map(([, name = '""', , text = '']) => ({ name: JSON.parse(name) as string, text }))
}

/** The sections of a Markdown text under headings of the second level, by heading. */
export function sectionsOf(markdown: string): Map<string, string> {
  const sections = new Map<string, string>()
  for (const part of markdown.split(/^## /m).slice(1)) {
    const end = part.indexOf('\n')
    sections.set(part.slice(0, end).trim(), part.slice(end + 1).trim())
  }
  return sections
}

/** `Licence and size` → `licence-and-size`: a task's name. */
export function slug(text: string): string {
  return text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-').replaceAll(/^-|-$/g, '').slice(0, 40)
}

export interface ListedCapability {
  readonly name: string
  readonly summary: string
  /** Its properties, where the prompt shows the schema. */
  readonly properties: readonly string[]
}

/** The capabilities that a planner's prompt lists. */
export function capabilitiesIn(prompt: string): ListedCapability[] {
  const list = /\nCapabilities:\n([\s\S]*?)(?:\n\n|$)/.exec(prompt)?.[1] ?? ''
  return [...list.matchAll(/^- ([\w.-]+)[^:\n]*: (.*)(?:\n {2}input: (.*))?$/gm)].map(([, name = '', summary = '', schema]) => ({
    name, summary, properties: schema === undefined ? [] : Object.keys((JSON.parse(schema) as { properties?: object }).properties ?? {}),
  }))
}

/** How many levels a planner may still plan below its own; 0 when there is none. */
export function levelsIn(prompt: string): number {
  return Number(/; (\d+) more levels below this plan/.exec(prompt)?.[1] ?? 0)
}

export interface Subject {
  readonly name: string
  readonly goal: string
  readonly criteria: readonly string[]
  readonly result: string
}

/** What a reviewer, or whoever puts results together, is shown: a part for each task, under `## its-name`. */
export function subjectsIn(prompt: string): Subject[] {
  return [...prompt.matchAll(/^## ([\w.-]+)\n(?=(?:Its goal: |It settles|Reviewers|<data ))([\s\S]*?<\/data mark="\w+">)/gm)].map(([, name = '', part = '']) => ({
    name,
    goal: /^Its goal: (.*)$/m.exec(part)?.[1] ?? '',
    criteria: (/^Criteria:\n((?:- .*\n)+)/m.exec(part)?.[1] ?? '').split('\n').filter((line) => line !== '').map((line) => line.slice(2)),
    result: dataIn(part)[0]?.text ?? '',
  }))
}
