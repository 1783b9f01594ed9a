// What people write to show a table over REST: Express with pg. Each request looks the key up by its hash, checks its scope, and
// reads or writes the rows of its tenant only. Postgres makes the JSON, which is the fastest way.
//
// Usage: WORKERS=… PORT=… PGHOST=… PGPORT=… PGUSER=… PGDATABASE=… node rest.js
'use strict';
const cluster = require('node:cluster');
const { createHash } = require('node:crypto');
const express = require('express');
const { Pool } = require('pg');

const QUERIES = {
  key: `SELECT tenant_id, scopes FROM service_key
        WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
  one: 'SELECT row_to_json(t)::text AS row FROM tickets AS t WHERE t.id = $1 AND t.tenant_id = $2',
  page: `SELECT t.created_at::text, t.id, row_to_json(t)::text AS row FROM tickets AS t
         WHERE t.tenant_id = $1 AND ($2::timestamptz IS NULL OR (t.created_at, t.id) < ($2, $3))
         ORDER BY t.created_at DESC, t.id DESC LIMIT $4`,
  account: 'SELECT true FROM accounts WHERE id = $1 AND tenant_id = $2',
  create: `INSERT INTO tickets AS t (tenant_id, subject, account_id) VALUES ($1, $2, $3)
           RETURNING t.id, row_to_json(t)::text AS row`,
  change: 'UPDATE tickets AS t SET status = $3 WHERE t.id = $1 AND t.tenant_id = $2 RETURNING row_to_json(t)::text AS row',
};
// With a name, the statement stays prepared.
const ask = (client, name, values) => client.query({ name, text: QUERIES[name], values });

class Refusal extends Error {
  constructor(status) {
    super();
    this.status = status;
  }
}

function show(response, text, status = 200) {
  response.set('etag', `"${createHash('sha256').update(text).digest('hex').slice(0, 32)}"`);
  response.set('cache-control', 'no-store');
  response.status(status).type('application/json').send(text);
}

function serve() {
  const pool = new Pool({ max: 8 });
  const withScope = (scope) => async (request, response, next) => {
    const key = (request.get('authorization') || '').replace(/^Bearer /, '');
    const [found] = (await ask(pool, 'key', [createHash('sha256').update(key).digest()])).rows;
    if (!found) throw new Refusal(401);
    if (!found.scopes.includes(scope)) throw new Refusal(403);
    response.locals.tenant = found.tenant_id;
    next();
  };
  const body = (types) => (request, response, next) => {
    const given = request.body || {};
    const fits = Object.entries(types).every(([name, type]) => typeof given[name] === type);
    if (!fits || Object.keys(given).some((name) => !(name in types))) throw new Refusal(422);
    next();
  };
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(express.json());
  app.get('/api/v1/tickets/:id', withScope('tickets:read'), async (request, response) => {
    const [found] = (await ask(pool, 'one', [request.params.id, response.locals.tenant])).rows;
    if (!found) throw new Refusal(404);
    show(response, found.row);
  });
  app.get('/api/v1/tickets', withScope('tickets:read'), async (request, response) => {
    const limit = Number(request.query.limit || 50);
    if (!(limit >= 1 && limit <= 100)) throw new Refusal(400);
    const { cursor } = request.query;
    const after = cursor ? JSON.parse(Buffer.from(cursor, 'base64url')) : [null, null];
    const { rows } = await ask(pool, 'page', [response.locals.tenant, ...after, limit + 1]);
    const more = rows.length > limit;
    const shown = rows.slice(0, limit);
    const last = more ? shown[limit - 1] : null;
    const position = last && Buffer.from(JSON.stringify([last.created_at, last.id])).toString('base64url');
    const data = shown.map((row) => row.row).join(',');
    show(response, `{"data":[${data}],"has_more":${more},"next_cursor":${JSON.stringify(position)}}`);
  });
  const created = body({ subject: 'string', account_id: 'number' });
  app.post('/api/v1/tickets', withScope('tickets:write'), created, async (request, response) => {
    const { tenant } = response.locals;
    const { subject, account_id: account } = request.body;
    const client = await pool.connect();
    try {
      await client.query('BEGIN');
      if (!(await ask(client, 'account', [account, tenant])).rows.length) throw new Refusal(409);
      const [made] = (await ask(client, 'create', [tenant, subject, account])).rows;
      await client.query('COMMIT');
      response.set('location', `/api/v1/tickets/${made.id}`);
      show(response, made.row, 201);
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    } finally {
      client.release();
    }
  });
  app.patch('/api/v1/tickets/:id', withScope('tickets:write'), body({ status: 'string' }), async (request, response) => {
    const values = [request.params.id, response.locals.tenant, request.body.status];
    const [changed] = (await ask(pool, 'change', values)).rows;
    if (!changed) throw new Refusal(404);
    show(response, changed.row);
  });
  app.use((error, request, response, next) => response.status(error.status || 503).end());
  app.listen(Number(process.env.PORT), '127.0.0.1');
}

if (cluster.isPrimary) {
  for (let worker = 0; worker < Number(process.env.WORKERS || 1); worker++) cluster.fork();
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.kill();
    process.exit(0);
  });
} else {
  serve();
}
