// A receiver of webhooks. It prints its port and, when its standard input ends, how many requests came and for how many
// deliveries.
'use strict'

const express = require('express')

const deliveries = new Set()
let requests = 0

const app = express()
app.post('/:endpoint', express.json(), (request, response) => {
  requests += 1
  deliveries.add(request.get('X-Hydra-Delivery'))
  response.send('ok')
})
const server = app.listen(0, '127.0.0.1', () => console.log(server.address().port))

process.stdin.on('end', () => {
  console.log(requests, deliveries.size)
  process.exit()
})
process.stdin.resume()
