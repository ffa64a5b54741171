import { channelSuite } from '../../contract/channel.suite.ts'
import { SlackWorld } from './world.ts'

channelSuite('slack, events over HTTP', (scope) => SlackWorld.open(scope, true))
