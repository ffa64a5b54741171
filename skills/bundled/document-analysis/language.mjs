/** A guess at a text's language: by its script, and among those of Latin script by the words that every text has. */

const SCRIPTS = [
  ['ja', /[\u3040-\u30ff]/g],
  ['ko', /[\uac00-\ud7af]/g],
  ['zh', /[\u4e00-\u9fff]/g],
  ['ru', /[\u0400-\u04ff]/g],
  ['el', /[\u0370-\u03ff]/g],
  ['ar', /[\u0600-\u06ff]/g],
  ['he', /[\u0590-\u05ff]/g],
  ['hi', /[\u0900-\u097f]/g],
  ['th', /[\u0e00-\u0e7f]/g],
]
const WORDS = {
  en: 'the of and to in is that for it with as was on are be this have not by from',
  de: 'der die und das ist nicht ein eine zu den mit von sich auf für dem auch im wird sie',
  fr: 'le la les de des et est une dans que pour pas sur au avec ce il qui plus sont',
  es: 'el la los las de que y en un una por con para es del se no su al como',
  it: 'il la di che e è un una per non con del della sono si le i da nel anche',
  pt: 'o a os as de que e do da em um uma para com não é por mais no na',
  nl: 'de het een van en in is dat op te zijn met voor niet aan er ook als bij door',
  sv: 'och det att i en som är på för av med inte den till har de ett om var jag',
  pl: 'i w nie na się z do to że jest o jak po ale za co od tak przez dla',
  tr: 've bir bu da de için ile olarak çok daha ne gibi ama olan en kadar sonra her var o',
}
const SETS = Object.entries(WORDS).map(([code, words]) => [code, new Set(words.split(' '))])
const LEAST_WORDS = 10
const SAMPLE_CHARS = 20_000

/** null: there is too little to tell. */
export function guessLanguage(text) {
  const sample = text.slice(0, SAMPLE_CHARS).toLowerCase()
  const letters = sample.match(/\p{L}/gu)?.length ?? 0
  if (letters < 20) return null
  const script = SCRIPTS.find(
    ([, pattern]) => (sample.match(pattern)?.length ?? 0) > letters * (pattern.source.includes('3040') ? 0.1 : 0.3),
  )
  if (script !== undefined) return script[0]
  const words = sample.match(/\p{L}+/gu) ?? []
  if (words.length < LEAST_WORDS) return null
  const scores = SETS.map(([code, set]) => [code, words.filter((word) => set.has(word)).length]).sort((a, b) => b[1] - a[1])
  const [first, second] = scores
  return first[1] >= words.length * 0.1 && first[1] > second[1] ? first[0] : null
}
