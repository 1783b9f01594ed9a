// What people write to receive webhooks of GitHub: a handler of Express that verifies the signature, and inserts the event with
// pg unless it is known.
//
// Usage: PORT=… SECRET=… PGHOST=… PGUSER=… PGDATABASE=… node inbound.js
'use strict';
const { createHmac, timingSafeEqual } = require('node:crypto');
const express = require('express');
const { Pool } = require('pg');

const pool = new Pool({ max: 8 });
const INSERT = 'INSERT INTO inbox (id, payload) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING';

const app = express();
app.disable('x-powered-by');
app.disable('etag');
app.use(express.raw({ type: () => true, limit: '1mb' }));
app.post('/hook', async (request, response) => {
  const expected = Buffer.from('sha256=' + createHmac('sha256', process.env.SECRET).update(request.body).digest('hex'));
  const given = Buffer.from(request.get('x-hub-signature-256') || '');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
    response.status(401).end();
    return;
  }
  try {
    await pool.query(INSERT, [request.get('x-github-delivery'), request.body.toString()]);
    response.json({ received: 1 });
  } catch (error) {
    response.status(503).end();
  }
});
app.listen(Number(process.env.PORT), '127.0.0.1');
