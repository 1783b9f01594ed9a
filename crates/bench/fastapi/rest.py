"""What people write to show a table over REST: FastAPI with asyncpg. Each request looks the key up by its hash, checks its
scope, and reads or writes the rows of its tenant only. Postgres makes the JSON, which is the fastest way.

Usage: PGHOST=… PGPORT=… PGUSER=… PGDATABASE=… uvicorn --factory rest:app
"""
import base64
import hashlib
import json
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import asyncpg
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict

KEY = """SELECT tenant_id, scopes FROM service_key
         WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"""
ONE = "SELECT row_to_json(t)::text FROM tickets AS t WHERE t.id = $1 AND t.tenant_id = $2"
PAGE = """SELECT t.created_at, t.id, row_to_json(t)::text AS row FROM tickets AS t
          WHERE t.tenant_id = $1 AND ($2::timestamptz IS NULL OR (t.created_at, t.id) < ($2, $3))
          ORDER BY t.created_at DESC, t.id DESC LIMIT $4"""
ACCOUNT = "SELECT true FROM accounts WHERE id = $1 AND tenant_id = $2"
CREATE = """INSERT INTO tickets AS t (tenant_id, subject, account_id) VALUES ($1, $2, $3)
            RETURNING t.id, row_to_json(t)::text AS row"""
CHANGE = "UPDATE tickets AS t SET status = $3 WHERE t.id = $1 AND t.tenant_id = $2 RETURNING row_to_json(t)::text"

pool = None


class NewTicket(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    subject: str
    account_id: int


class Change(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    status: str


@asynccontextmanager
async def lifespan(_app):
    global pool
    pool = await asyncpg.create_pool(min_size=8, max_size=8)
    yield
    await pool.close()


def tenant_with(scope):
    async def tenant(authorization: Annotated[str, Header()] = ""):
        key = authorization.removeprefix("Bearer ")
        found = await pool.fetchrow(KEY, hashlib.sha256(key.encode()).digest())
        if found is None:
            raise HTTPException(401)
        if scope not in found["scopes"]:
            raise HTTPException(403)
        return found["tenant_id"]

    return Depends(tenant)


def shown(text, status=200, headers={}):
    etag = '"' + hashlib.sha256(text.encode()).hexdigest()[:32] + '"'
    return Response(text, status, {"etag": etag, "cache-control": "no-store", **headers}, "application/json")


def app():
    service = FastAPI(lifespan=lifespan, openapi_url=None)

    @service.get("/api/v1/tickets/{id}")
    async def get(id: int, tenant: Annotated[str, tenant_with("tickets:read")]):
        row = await pool.fetchval(ONE, id, tenant)
        if row is None:
            raise HTTPException(404)
        return shown(row)

    @service.get("/api/v1/tickets")
    async def page(
        tenant: Annotated[str, tenant_with("tickets:read")],
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        cursor: str | None = None,
    ):
        after = [None, None]
        if cursor:
            created_at, id = json.loads(base64.urlsafe_b64decode(cursor))
            after = [datetime.fromisoformat(created_at), id]
        rows = await pool.fetch(PAGE, tenant, *after, limit + 1)
        more, rows = len(rows) > limit, rows[:limit]
        last = rows[-1] if more else None
        position = json.dumps([last["created_at"].isoformat(), last["id"]]).encode() if last else b""
        following = json.dumps(base64.urlsafe_b64encode(position).decode()) if last else "null"
        data = ",".join(row["row"] for row in rows)
        return shown(f'{{"data":[{data}],"has_more":{str(more).lower()},"next_cursor":{following}}}')

    @service.post("/api/v1/tickets")
    async def create(new: NewTicket, tenant: Annotated[str, tenant_with("tickets:write")]):
        async with pool.acquire() as connection, connection.transaction():
            if not await connection.fetchval(ACCOUNT, new.account_id, tenant):
                raise HTTPException(409)
            made = await connection.fetchrow(CREATE, tenant, new.subject, new.account_id)
        return shown(made["row"], 201, {"location": f"/api/v1/tickets/{made['id']}"})

    @service.patch("/api/v1/tickets/{id}")
    async def change(id: int, new: Change, tenant: Annotated[str, tenant_with("tickets:write")]):
        row = await pool.fetchval(CHANGE, id, tenant, new.status)
        if row is None:
            raise HTTPException(404)
        return shown(row)

    return service
