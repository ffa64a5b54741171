/** The channel suite over Slack, by both ways in which events come. */
import { channelSuite } from '../../contract/channel.suite.ts'
import { SlackWorld } from './world.ts'

channelSuite('slack, Socket Mode', (scope) => SlackWorld.open(scope))
channelSuite('slack, events over HTTP', (scope) => SlackWorld.open(scope, true))
