/** Counts the words of a text. */
export function run(input, ctx) {
  const words = input.text.split(/\s+/).filter((word) => word !== '').length
  ctx.log(`counted ${words}`)
  return { words }
}
