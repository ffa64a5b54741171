import assert from 'node:assert/strict'
import { test } from 'node:test'
import { starDialect as dialect } from '#contract'

test('marks stand right beside the words, line by line', () => {
  assert.equal(dialect.strong('yes'), '*yes*')
  assert.equal(dialect.strong(' two words \nand more'), ' *two words* \n*and more*')
  assert.equal(dialect.emphasis(dialect.strike('x')), '_~x~_')
  assert.equal(dialect.strong(''), '')
})

test('code keeps its words, and cannot end its own block', () => {
  assert.equal(dialect.code('a_b'), '`a_b`')
  assert.equal(dialect.code('a`b'), '```a`b```')
  assert.equal(dialect.fence('a\n```\nb', 'ts'), "```\na\n'''\nb\n```")
})

test('links, headings, quotes and items are what WhatsApp has for them', () => {
  assert.equal(dialect.link('here', 'https://a.example'), 'here (https://a.example)')
  assert.equal(dialect.link('https://a.example', 'https://a.example'), 'https://a.example')
  assert.equal(dialect.heading('Plan', 1), '*Plan*')
  assert.equal(dialect.heading('*Plan* B', 2), '*Plan* B')
  assert.equal(dialect.quote('a\nb'), '> a\n> b')
  assert.equal(dialect.item('milk', '•'), '• milk')
})

test('words go as they are', () => assert.equal(dialect.text('2*3*4 _x_'), '2*3*4 _x_'))
