// What a gateway does, as a handler of Express with pg: one call of hydra.serve in one transaction for each request.
//
// Usage: PORT=… PGHOST=… PGUSER=… PGDATABASE=… node handler.js
'use strict';
const { createHash } = require('node:crypto');
const express = require('express');
const { Pool } = require('pg');

const pool = new Pool({ max: 8 });
const CALL =
  'SELECT s.status, s.headers::text, s.body FROM hydra.serve(1, $1, $2, $3, $4, $5, $6::jsonb, $7, $8::inet) AS s';
const NOT_PASSED = new Set(['authorization', 'cookie', 'connection', 'transfer-encoding', 'upgrade', 'te', 'trailer']);

const app = express();
app.disable('x-powered-by');
app.disable('etag');
app.use(express.raw({ type: () => true, limit: '1mb' }));
app.use(async (request, response) => {
  const [, key] = (request.get('authorization') || '').split(' ');
  const credential = key ? createHash('sha256').update(key).digest() : null;
  const headers = Object.entries(request.headers).filter(([name]) => !NOT_PASSED.has(name));
  const body = request.body && request.body.length ? request.body : null;
  const query = request.url.split('?')[1] || null;
  const parameters = ['rest', credential, request.method, request.path, query, JSON.stringify(headers), body, request.ip];
  const client = await pool.connect();
  let row;
  try {
    await client.query('BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE');
    row = (await client.query(CALL, parameters)).rows[0];
    await client.query('COMMIT');
    client.release();
  } catch (error) {
    client.release(error);
    response.status(503).end();
    return;
  }
  response.status(row.status);
  for (const [name, value] of JSON.parse(row.headers)) {
    if (!name.startsWith('hydra-')) response.append(name, value);
  }
  response.end(row.body);
});
app.listen(Number(process.env.PORT), '127.0.0.1');
