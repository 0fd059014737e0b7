/** Sentences of wrapped prose. */

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' })
/** A point behind these ends no sentence. */
const abbreviation = /(?:^|[\s(])(?:e\.g|i\.e|cf|vs|etc|approx|Dr|Mr|Mrs|Ms|Prof|St|No|Nr|Fig|Figs|Eq|Sec|Vol|pp|p|ca|bzw|z\.\s?B|d\.\s?h|u\.\s?a|usw|Abb|\p{Lu})\.\s*$/u
const sentenceCharsMax = 600

export interface Span {
  readonly from: number
  readonly to: number
}

/** The line ends within a sentence are only where its text was wrapped. @returns spans that cover the text, in order. */
export function sentencesIn(text: string): Span[] {
  const unwrapped = text.replace(/\n/g, ' ')
  const spans: { from: number; to: number }[] = []
  let joins = false
  for (const { segment, index } of segmenter.segment(unwrapped)) {
    const last = spans.at(-1)
    const to = index + segment.length
    if (last !== undefined && joins) last.to = to
    else spans.push({ from: index, to })
    joins = abbreviation.test(segment) && to - (spans.at(-1)?.from ?? 0) < sentenceCharsMax
  }
  return spans.flatMap(cutLong)

  /** Without a point for so long, it is no sentence: cut between words. */
  function cutLong(span: Span): Span[] {
    const pieces: Span[] = []
    let from = span.from
    while (span.to - from > sentenceCharsMax) {
      const space = unwrapped.lastIndexOf(' ', from + sentenceCharsMax)
      const cut = space > from + sentenceCharsMax / 2 ? space + 1 : from + sentenceCharsMax
      pieces.push({ from, to: cut })
      from = cut
    }
    return [...pieces, { from, to: span.to }]
  }
}
