/** What a client is told of a text that a model may begin anew: never two beginnings, never another end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Speech } from '../../../channels/completions/follow.ts'

test('text is told as it comes, and nothing is left at the end', () => {
  const speech = new Speech()
  assert.deepEqual([speech.hear('He'), speech.hear('llo'), speech.end('Hello')], ['He', 'llo', ''])
})

test('what comes only with the end is told then', () => {
  const speech = new Speech()
  assert.equal(speech.end('Hello'), 'Hello')
})

test('what was begun anew in the same words goes on where it was', () => {
  const speech = new Speech()
  const told = ['Hello wo', null, 'Hel', 'lo world', '!'].map((text) => speech.hear(text))
  assert.deepEqual(told, ['Hello wo', '', '', 'rld', '!'])
  assert.deepEqual([speech.end('Hello world!'), speech.told], ['', 'Hello world!'])
})

test('what was begun anew in other words has no end that fits', () => {
  const speech = new Speech()
  speech.hear('Good day')
  speech.hear(null)
  assert.equal(speech.hear('Hello there, friend'), '')
  assert.equal(speech.end('Hello there, friend'), null)
})

test('what was said on the way to the answer stays said', () => {
  const speech = new Speech()
  speech.hear('Let me see. ')
  speech.hear('It is five.')
  assert.deepEqual([speech.end('It is five.'), speech.told], ['', 'Let me see. It is five.'])
})
