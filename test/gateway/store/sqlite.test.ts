import { storeSuite } from '../../contract/store.suite.ts'
import { inThisThread } from '../../support/in-this-thread.ts'
import { sqliteOver } from './given.ts'

storeSuite('SQLite', sqliteOver(inThisThread), { exclusive: true })
