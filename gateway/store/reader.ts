/**
 * The reader's thread: a connection that only reads, so that no question, however long, holds up the event loop or the
 * writer. Each question sees one state of the file, from its beginning to its end.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { reads } from './commands.ts'
import { storeFault, unavailable } from './fault.ts'
import { call } from './group.ts'
import type { Connection } from './group.ts'
import { openReader } from './open.ts'
import { failed, packAnswers, packError, succeeded, unpackJobs } from './wire.ts'
import type { Answer, FromWorker, Job, ToWorker } from './wire.ts'

function answer(on: Connection, job: Job): Answer {
  try {
    on.sql.beginRead()
    const result = succeeded(job, call(on, job))
    on.sql.commit()
    return result
  } catch (error) {
    on.sql.rollback()
    const fault = storeFault(error, on.file)
    return failed(job, fault === null ? error : unavailable(fault, on.file))
  }
}

if (parentPort !== null) {
  const port = parentPort
  const { file }: { readonly file: string } = workerData
  const say = (message: FromWorker): void => port.postMessage(message, [])
  try {
    const opened = openReader(file)
    const connection: Connection = { sql: opened.sql, file, side: reads, auditKey: new Uint8Array(0), failed: new Set() }
    port.on('message', (message: ToWorker) => {
      if ('stop' in message) {
        opened.close()
        port.close()
        return
      }
      say({ answers: packAnswers(unpackJobs(message.jobs).map((job) => answer(connection, job))) })
    })
    say({ opened: { migrated: [] } })
  } catch (error) {
    say({ opened: { failure: packError(error) } })
    port.close()
  }
}
