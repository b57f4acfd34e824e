"""The web application of test_application: tells what it was given, and counts its visitors in redis."""

import json
import os
import time
from pathlib import Path

import bottle
import redis

ready_at = time.monotonic() + 1


def store() -> "redis.Redis":
    password = Path("/etc/app/secret/password").read_text()
    return redis.Redis(host=os.environ["REDIS_HOST"], password=password, decode_responses=True)


@bottle.get("/")
def index() -> str:
    told = {name: os.environ[name] for name in ("POD_NAME", "POD_IP", "NODE_NAME", "MEMORY_LIMIT")}
    told["greeting"] = Path("/etc/app/config/greeting").read_text()
    told["secret"] = Path("/etc/app/secret/token").read_text()
    told["labels"] = Path("/etc/app/pod/labels").read_text()
    return json.dumps({**told, "visits": store().incr("visits")})


@bottle.get("/ready")
def ready() -> str:
    if time.monotonic() < ready_at or not store().ping():
        bottle.abort(503, "not yet")
    return "ready"


@bottle.get("/live")
def live() -> str:
    return "alive"


bottle.run(host="127.0.0.1" if os.environ.get("BEHIND_PROXY") else "0.0.0.0", port=8000)
