import { channelSuite } from '../../contract/channel.suite.ts'
import { SlackWorld } from './world.ts'

channelSuite('slack, Socket Mode', (scope) => SlackWorld.open(scope))
