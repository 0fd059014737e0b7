/** Commands whose names are fixed and whose substance comes in a later release: each says so in one sentence. */
import type { Command } from 'commander'
import { MeshError } from '../../../protocols/kernel/errors.ts'
import { type Cli, act, withCommon } from '../cli.ts'

const later: readonly (readonly [name: string, what: string])[] = [
  ['trace', 'the trace of a mission'],
]

export function notInThisRelease(command: string): MeshError {
  return new MeshError('not-available', `"skein ${command}" is not in this release of Skein`, { next: '"skein --help" lists what is' })
}

export function addLaterCommands(program: Command, cli: Cli): void {
  for (const [name, what] of later) laterCommand(program, cli, name, what)
}

/** A hidden command that takes anything and answers with one sentence. */
export function laterCommand(parent: Command, cli: Cli, name: string, what: string): void {
  const command = parent.command(name, { hidden: true }).description(`${what} (not in this release)`).argument('[anything...]').allowUnknownOption()
  withCommon(command).action(act(cli, () => {
    throw notInThisRelease(`${parent.parent === null ? '' : `${parent.name()} `}${name}`)
  }))
}
