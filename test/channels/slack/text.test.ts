/** mrkdwn, both ways: what an agent says can call nobody, and what people wrote is read as words. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { mrkdwn } from '../../../channels/slack/mrkdwn.ts'
import { mentions, readText } from '../../../channels/slack/text.ts'
import { called } from '../../fakes/slack-message.ts'

describe('writing', () => {
  test('nothing that is said calls anybody, wherever it stands', () => {
    for (const word of ['<!channel>', '<!here|here>', '<@U0ANN>', '<!subteam^S1>', '<#C0TEAM>', '&lt;!channel&gt;', '@channel']) {
      const written = [
        mrkdwn.text(word),
        mrkdwn.strong(mrkdwn.text(word)),
        mrkdwn.emphasis(mrkdwn.text(word)),
        mrkdwn.strike(mrkdwn.text(word)),
        mrkdwn.code(word),
        mrkdwn.fence(word, null),
        mrkdwn.link(mrkdwn.text(word), 'https://example.org'),
        mrkdwn.link(mrkdwn.text('x'), word),
        mrkdwn.link(mrkdwn.text('x'), `https://example.org/${word}`),
        mrkdwn.link(mrkdwn.text(''), word.replaceAll(/[<>]/g, '')),
        mrkdwn.link(mrkdwn.text('x'), '!channel'),
        mrkdwn.link(mrkdwn.text('x'), '@U0ANN'),
        mrkdwn.heading(mrkdwn.text(word), 1),
        mrkdwn.quote(mrkdwn.text(word)),
        mrkdwn.item(mrkdwn.text(word), '•'),
      ]
      for (const line of written) assert.deepEqual(called(line, false), [], line)
    }
  })

  test('words are escaped so that two texts joined are the joined text', () => {
    const words = 'a < b & c > d &amp; *x* _y_'
    for (let at = 0; at <= words.length; at++)
      assert.equal(mrkdwn.text(words.slice(0, at)) + mrkdwn.text(words.slice(at)), mrkdwn.text(words))
    assert.equal(mrkdwn.text('<&>'), '&lt;&amp;&gt;')
  })

  test('marks end with their line and stay off its edges', () => {
    assert.equal(mrkdwn.strong('one\ntwo'), '*one*\n*two*')
    assert.equal(mrkdwn.emphasis(' x '), ' _x_ ')
    assert.equal(mrkdwn.strike('a\n\nb'), '~a~\n\n~b~')
    assert.equal(mrkdwn.heading('*Title*', 2), '*Title*')
    assert.equal(mrkdwn.heading('A *b* c', 2), '*A *b* c*')
  })

  test('code stays code whatever is in it', () => {
    assert.equal(mrkdwn.code('a<b'), '`a&lt;b`')
    assert.equal(mrkdwn.code('a`b'), 'a`b')
    assert.equal(mrkdwn.fence('x = 1', 'py'), '```\nx = 1\n```')
    assert.equal(mrkdwn.fence('a\n```\nb', null).match(/```/g)?.length, 2)
  })

  test('a link is one where it leads out, and words where it does not', () => {
    assert.equal(mrkdwn.link('docs', 'https://example.org/?a=1&b=2'), '<https://example.org/?a=1&amp;b=2|docs>')
    assert.equal(mrkdwn.link('https://example.org', 'https://example.org'), '<https://example.org>')
    assert.equal(mrkdwn.link('two\nlines', 'https://example.org/a|b c'), '<https://example.org/a%7Cb%20c|two lines>')
    assert.equal(mrkdwn.link('x', 'javascript:alert(1)'), 'x (javascript:alert(1))')
    assert.equal(mrkdwn.link('<https://a.example|a>', 'https://b.example'), '<https://a.example|a> (<https://b.example>)')
  })

  test('quotes and items have their marks on every line', () => {
    assert.equal(mrkdwn.quote('a\nb'), '> a\n> b')
    assert.equal(mrkdwn.item('a', '1.'), '1. a')
  })
})

describe('reading', () => {
  const cases: readonly (readonly [written: string, read: string])[] = [
    ['<@U0BOT> hello', 'hello'],
    ['  <@U0BOT|gate>, hello', 'hello'],
    ['hello <@U0BOT>', 'hello @U0BOT'],
    ['ask <@U0ANN> or <@U0BOB|bob>', 'ask @U0ANN or @bob'],
    ['in <#C0TEAM|team> and <#C0TEAM>', 'in #team and #C0TEAM'],
    ['<!here> <!channel|channel> <!subteam^S1|@ops>', '@here @channel @ops'],
    ['<!date^1392734382^{date}|today>', 'today'],
    ['<https://example.org/?a=1&amp;b=2>', 'https://example.org/?a=1&b=2'],
    ['<https://example.org|the docs>', 'the docs (https://example.org)'],
    ['<http://example.org|example.org>', 'http://example.org'],
    ['<mailto:ann@example.org|ann@example.org>', 'ann@example.org'],
    ['1 &lt; 2 &amp;&amp; 3 &gt; 2', '1 < 2 && 3 > 2'],
    ['&amp;lt;', '&lt;'],
    ['&lt;!channel&gt;', '<!channel>'],
  ]
  for (const [written, read] of cases) test(`"${written}" as "${read}"`, () => assert.equal(readText(written, 'U0BOT'), read))

  test('a mention is one with and without a name', () => {
    assert.ok(mentions('x <@U0BOT|gate>', 'U0BOT') && mentions('<@U0BOT>', 'U0BOT'))
    assert.ok(!mentions('<@U0BOTTLE>', 'U0BOT') && !mentions('@U0BOT', 'U0BOT'))
  })
})
