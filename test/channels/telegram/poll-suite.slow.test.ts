import { channelSuite } from '../../contract/channel.suite.ts'
import { TelegramWorld } from './world.ts'

channelSuite('telegram, polling', (scope) => TelegramWorld.open(scope))
