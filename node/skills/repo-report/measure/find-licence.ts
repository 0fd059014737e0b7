/** What a file says about its licence. */
import correctSpdx from 'spdx-correct'

/** @returns the SPDX expression of an `SPDX-License-Identifier` line near the top, or undefined. */
export function spdxHeader(text: string): string | undefined {
  const match = /SPDX-License-Identifier:\s*([A-Za-z0-9.+() -]{2,80}?)\s*(?:\*\/|-->|["'`;,]|$)/m.exec(text.slice(0, 4_000))
  return match === null ? undefined : spdxName(match[1] ?? '')
}

/** @returns a licence name or expression in SPDX's spelling, or the given one, shortened, when SPDX does not know it. */
export function spdxName(name: string): string {
  const cleaned = name.trim().slice(0, 80)
  return correctSpdx(cleaned, { upgrade: false }) ?? cleaned
}

const phrases: readonly (readonly [string, RegExp])[] = [
  ['AGPL-3.0', /gnu affero general public license\s+version 3/],
  ['LGPL-3.0', /gnu lesser general public license\s+version 3/],
  ['LGPL-2.1', /gnu lesser general public license\s+version 2\.1/],
  ['GPL-3.0', /gnu general public license\s+version 3/],
  ['GPL-2.0', /gnu general public license\s+version 2/],
  ['Apache-2.0', /apache license\s*,?\s*version 2\.0/],
  ['MPL-2.0', /mozilla public license,? version 2\.0/],
  ['EPL-2.0', /eclipse public license - v 2\.0/],
  ['BUSL-1.1', /business source license 1\.1/],
  ['CC0-1.0', /cc0 1\.0 universal/],
  ['CC-BY-SA-4.0', /attribution-sharealike 4\.0 international/],
  ['CC-BY-4.0', /attribution 4\.0 international/],
  ['Unlicense', /this is free and unencumbered software released into the public domain/],
  ['BSL-1.0', /boost software license - version 1\.0/],
  ['Zlib', /this software is provided 'as-is', without any express or implied warranty.*misrepresented/],
  ['BSD-3-Clause', /redistribution and use in source and binary forms.*neither the name/],
  ['BSD-2-Clause', /redistribution and use in source and binary forms/],
  ['0BSD', /permission to use, copy, modify, and\/or distribute this software for any purpose with or without fee is hereby granted\. the software/],
  ['ISC', /permission to use, copy, modify, and(?:\/or)? distribute this software for any purpose with or without fee is hereby granted/],
  ['MIT', /permission is hereby granted, free of charge, to any person obtaining a copy/],
  ['WTFPL', /do what the fuck you want to public license/],
]

/** @returns the SPDX ids of the licence texts in a licence file; `unrecognised` alone when there is none that is known. */
export function licencesInText(text: string): string[] {
  const flat = text.slice(0, 60_000).toLowerCase().replace(/\s+/g, ' ')
  const found = phrases.filter(([, phrase]) => phrase.test(flat)).map(([id]) => id)
  const without = (id: string, unless: string) => !(found.includes(unless) && id === unless.replace('BSD-3', 'BSD-2'))
  const ids = found.filter((id) => without(id, 'BSD-3-Clause') && !(id === 'ISC' && found.includes('0BSD')))
  return ids.length === 0 ? ['unrecognised'] : ids
}
