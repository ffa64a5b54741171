import { channelSuite } from '../../contract/channel.suite.ts'
import { HttpWorld } from './world.ts'

channelSuite('http', (scope) => HttpWorld.open(scope))
