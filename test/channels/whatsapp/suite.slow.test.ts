/** The channel suite over WhatsApp Web: the real gateway and library, a server that speaks their protocol on loopback. */
import { channelSuite } from '../../contract/channel.suite.ts'
import { openWhatsApp } from './world.ts'

channelSuite('whatsapp', openWhatsApp)
