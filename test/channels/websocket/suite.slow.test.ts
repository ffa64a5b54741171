import { channelSuite } from '../../contract/channel.suite.ts'
import { WebSocketWorld } from './world.ts'

channelSuite('websocket', (scope) => WebSocketWorld.open(scope))
