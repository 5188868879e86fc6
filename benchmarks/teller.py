"""Tell users something, at an even rate, until killed: RATE USERS."""

from __future__ import annotations

import random
import sys
import time

from sqlalchemy import select

from benchmarks.population import email_of
from devforge_api.app import create_app
from devforge_api.core.db import db, unit_of_work
from devforge_api.core.realtime import feed
from devforge_api.users.models import User


def main(rate: int, users: int) -> None:
    """Tell one of the first users after the other, at random."""
    with create_app().app_context():
        known = [email_of(number) for number in range(users)]
        ids = list(db.session.scalars(select(User.id).where(User.email.in_(known))))
        db.session.remove()
        print("telling", len(ids), flush=True)
        due = time.monotonic()
        while True:
            due += 1 / rate
            time.sleep(max(0.0, due - time.monotonic()))
            with unit_of_work():
                feed.append([random.choice(ids)], "note", {"text": "x" * 200})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
