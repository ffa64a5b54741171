import { storeSuite } from '../../contract/store.suite.ts'
import { useSqlite } from './given.ts'

storeSuite('SQLite', useSqlite, { exclusive: true })
