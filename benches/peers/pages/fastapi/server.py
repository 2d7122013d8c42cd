"""The pages by hand, with FastAPI and asyncpg. The key is compared with a constant."""

import hmac
import os
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from typing import Annotated

import asyncpg
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Response

EXPECTED = f"Bearer {os.environ['API_KEY']}".encode()
BEGINNING = datetime(1, 1, 1, tzinfo=timezone.utc)
PAGE = """select body::text from transactions_by_hand where updated_at >= $1
          order by updated_at, id limit $2 offset $3"""


@asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=8, max_size=8) as app.state.pool:
        yield


async def authorize(authorization: Annotated[str, Header()] = ""):
    if not hmac.compare_digest(authorization.encode(), EXPECTED):
        raise HTTPException(401)


app = FastAPI(lifespan=lifespan)


@app.get("/transactions", dependencies=[Depends(authorize)])
async def transactions(
    updated_at_from: Annotated[datetime, Query(alias="updatedAtFrom")] = BEGINNING,
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(alias="pageSize", ge=1, le=1000)] = 100,
):
    rows = await app.state.pool.fetch(PAGE, updated_at_from, page_size, (page - 1) * page_size)
    return Response("[" + ",".join(row[0] for row in rows) + "]", media_type="application/json")
