import { channelSuite } from '../../contract/channel.suite.ts'
import { TelegramWorld } from './world.ts'

channelSuite('telegram, webhook', (scope) => TelegramWorld.open(scope, 'webhook'))
