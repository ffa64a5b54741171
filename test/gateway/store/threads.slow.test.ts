/** The suite again over a store as a gateway has it, with a thread for each side. */
import { startThread } from '../../../gateway/store/side.ts'
import { storeSuite } from '../../contract/store.suite.ts'
import { sqliteOver } from './given.ts'

storeSuite('SQLite in threads', sqliteOver(startThread), { exclusive: true })
