/** What we are compared with: Express, doing nothing. It parses no body, checks no key, keeps nothing. */
import express from 'express'

const app = express()
app.post('/v1/messages', (_request, response) => {
  response.status(202).json({ message_id: 'x', status: 'queued' })
})
const server = app.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (typeof address === 'object' && address !== null) console.log(`http://127.0.0.1:${address.port}`)
})
