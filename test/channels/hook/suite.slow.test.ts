import { channelSuite } from '../../contract/channel.suite.ts'
import { HookWorld } from './world.ts'

channelSuite('hook', (scope) => HookWorld.open(scope))
