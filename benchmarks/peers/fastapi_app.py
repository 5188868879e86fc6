"""The FastAPI peer: pydantic, an asyncpg pool of ten a worker, limits counted by a Redis script.

``validate`` is counted by address and ``me`` by user, as in Dev Forge API. PostgreSQL is found by
libpq's own variables (PGHOST, PGDATABASE and so on), which asyncpg reads.
"""

import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import asyncpg
import jwt
import redis.asyncio
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, StringConstraints

SECRET = os.environ["PEER_SECRET"]
LIMIT = int(os.environ["PEER_LIMIT"])  # requests a minute
POOL = 10
REDIS_POOL = 1_000  # as many as requests may be under way: beyond it the client raises

VERDICT = """
    SELECT l.plan, l.product, l.status, l.expires_at, l.max_machines, l.features, m.id AS machine_id
    FROM licences l LEFT JOIN machines m ON m.licence_id = l.id AND m.fingerprint = $2
    WHERE l.key_hash = $1
"""
USER = """
    SELECT id, email, display_name, role, plan, is_active, email_verified, created_at, last_login_at,
        EXISTS (SELECT FROM revoked_tokens WHERE jti = $2) AS revoked
    FROM users WHERE id = $1
"""
COUNT = """
    local count = redis.call('INCR', KEYS[1])
    if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
    return count
"""


async def keep_as_it_is(_: asyncpg.Connection) -> None:
    """Spare the round trip that resets a connection: no request leaves anything behind."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the pools of one worker."""
    client = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"], max_connections=REDIS_POOL)
    app.state.count = client.register_script(COUNT)
    async with asyncpg.create_pool(min_size=POOL, max_size=POOL, reset=keep_as_it_is) as app.state.pool:
        yield
    await client.aclose()


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


async def count(request: Request, who: str) -> None:
    """Count one request in a fixed window of a minute."""
    now = int(time.time())
    used = await request.app.state.count(keys=[f"limit:{who}:{now // 60}"], args=[60])
    if used > LIMIT:
        raise HTTPException(429, headers={"Retry-After": str(60 - now % 60)})


async def count_address(request: Request) -> None:
    """Count a request that carries no token."""
    await count(request, request.client.host if request.client else "unknown")


class ValidateIn(BaseModel):
    """A key, and the machine that it shall be valid for."""

    key: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{5}(-[A-Z0-9]{5}){4}$")]
    fingerprint: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Licence(BaseModel):
    """The licence that a verdict is about."""

    plan: str
    product: str
    expires_at: datetime
    max_machines: int
    features: list[str]


class Verdict(BaseModel):
    """What a licence answers."""

    valid: bool
    code: str
    licence: Licence | None = None
    machine_id: int | None = None
    checked_at: datetime


class Me(BaseModel):
    """Who is signed in."""

    id: int
    email: str
    display_name: str
    role: str
    plan: str
    email_verified: bool
    created_at: datetime
    last_login_at: datetime


def judge(row: asyncpg.Record | None, now: datetime) -> Verdict:
    """The verdict on a row, by its first failing check."""
    if row is None:
        return Verdict(valid=False, code="not_found", checked_at=now)
    if row["status"] != "active":
        code = row["status"]
    elif row["expires_at"] <= now:
        code = "expired"
    else:
        code = "ok" if row["machine_id"] is not None else "machine_not_activated"
    licence = Licence(
        plan=row["plan"],
        product=row["product"],
        expires_at=row["expires_at"],
        max_machines=row["max_machines"],
        features=row["features"],
    )
    return Verdict(
        valid=code == "ok", code=code, licence=licence, machine_id=row["machine_id"], checked_at=now
    )


@app.post("/v1/licences/validate", dependencies=[Depends(count_address)])
async def validate(body: ValidateIn, request: Request) -> Verdict:
    """Job V."""
    key_hash = hashlib.sha256(body.key.encode()).digest()
    row = await request.app.state.pool.fetchrow(VERDICT, key_hash, body.fingerprint)
    return judge(row, datetime.now(UTC))


async def current_user(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]
) -> asyncpg.Record:
    """The user of a token that is neither false nor revoked."""
    try:
        claims = jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"])
    except jwt.PyJWTError as error:
        raise HTTPException(401) from error
    await count(request, f"user:{claims['sub']}")
    row = await request.app.state.pool.fetchrow(USER, int(claims["sub"]), claims["jti"])
    if row is None or row["revoked"] or not row["is_active"]:
        raise HTTPException(401)
    return row


@app.get("/v1/auth/me", response_model=Me)
async def me(user: Annotated[asyncpg.Record, Depends(current_user)]) -> dict[str, object]:
    """Job R."""
    return dict(user)
