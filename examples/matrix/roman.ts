const numerals: ReadonlyArray<readonly [value: number, text: string]> = [
  [1000, 'M'], [900, 'CM'], [500, 'D'], [400, 'CD'], [100, 'C'], [90, 'XC'], [50, 'L'], [40, 'XL'], [10, 'X'], [9, 'IX'], [5, 'V'], [4, 'IV'], [1, 'I'],
]

/** 1 to 3999 in Roman numerals. */
export function roman(value: number): string {
  if (!Number.isInteger(value) || value < 1 || value > 3999) throw new RangeError(`${value} has no Roman numeral`)
  let rest: number = value
  let text = ''
  for (const [step, numeral] of numerals) {
    while (rest >= step) {
      text += numeral
      rest -= step
    }
  }
  return text
}
