/** The least a Node server can do with a request; shows that the load generator is no bottleneck. */
import { createServer } from 'node:http'

const answer = JSON.stringify({ message_id: 'x', status: 'queued' })
const server = createServer((request, response) => {
  request.resume()
  response.writeHead(202, { 'content-type': 'application/json', 'content-length': answer.length }).end(answer)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) console.log(`http://127.0.0.1:${address.port}`)
})
