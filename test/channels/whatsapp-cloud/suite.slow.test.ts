import { channelSuite } from '../../contract/channel.suite.ts'
import { CloudWorld } from './world.ts'

channelSuite('whatsapp-cloud', (scope) => CloudWorld.open(scope))
