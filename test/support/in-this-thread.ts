/**
 * A store without threads: both its sides serve their ports in the test's own thread. What they do is the same, and a store costs a sixth;
 * starting threads was a third of what the quick tests cost. Not for a disk that refuses: the writer waits for it, and here the test with it.
 */
import { MessageChannel } from 'node:worker_threads'
import { serveReader } from '../../gateway/store/reader.ts'
import type { StartSide } from '../../gateway/store/side.ts'
import { serveWriter } from '../../gateway/store/writer.ts'

export const inThisThread: StartSide = ({ name, data, onMessage, onEnd }) => {
  const { port1: ours, port2: its } = new MessageChannel()
  ours.on('message', onMessage)
  ours.once('close', onEnd)
  if (name === 'writer') serveWriter(its, data)
  else serveReader(its, data)
  return (message) => ours.postMessage(message, [])
}
