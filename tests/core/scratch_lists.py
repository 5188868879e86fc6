import time
from datetime import UTC, datetime, timedelta
from sqlalchemy import text, event, insert
from devforge_api.core.db import db, uuid7
from devforge_api.licenses.models import License
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
def test_x(api, on_postgresql):
    admin = api.admin()
    pol = api.license()
    rows = [dict(id=uuid7(), policy_id=pol.policy_id, product_id=pol.product_id, user_id=admin.id if n%50==0 else None, key_hash=f"h{n}", encrypted_key="x", status="active" if n%100 else "suspended", expires_at=None if n%2 else BEGAN+timedelta(hours=n), machine_count=0, metadata_={}, version=1, created_at=BEGAN+timedelta(seconds=n), updated_at=BEGAN) for n in range(100_000)]
    with api.app.app_context():
        with db.engine.begin() as c:
            c.execute(insert(License), rows)
        with db.engine.begin() as c:
            c.execute(text("ANALYZE"))
        plans=[]
        def explain(connection, cursor, statement, parameters, *_):
            if "FROM licenses" in statement and "ORDER BY" in statement and not statement.startswith("EXPLAIN"):
                p = cursor.connection.cursor()
                p.execute(("EXPLAIN (ANALYZE, TIMING OFF) " if on_postgresql else "EXPLAIN QUERY PLAN ")+statement, parameters)
                plans.append("\n".join(" ".join(map(str, r)) for r in p.fetchall()))
        from devforge_api.licenses import schemas
        schemas.LicenseSchema.show_key = lambda self, l: "k"
        License.key = property(lambda self: "k")
        # deep cursor
        for sort in ("-created_at","expires_at","-expires_at"):
            base=f"/licenses?limit=100&sort={sort}"
            cur=""; 
            for i in range(700):
                r=api.get(base+cur, by=admin).json["pagination"]
                cur=f"&cursor={r['next_cursor']}"
                if i in (0,300,499,550,699):
                    t=time.perf_counter(); api.get(base+cur, by=admin); print(sort, i, (time.perf_counter()-t)*1000)
                    event.listen(db.engine, "before_cursor_execute", explain)
                    r = api.get(base+cur, by=admin)
                    event.remove(db.engine, "before_cursor_execute", explain)
                    if i==300 and sort=="expires_at": print(plans[-1])
