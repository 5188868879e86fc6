"""What was sold, for people and for spreadsheets."""

from __future__ import annotations

import csv
import io
from datetime import date
from typing import Any

from flask import Response
from flask.views import MethodView

from devforge_api.billing.routes import blp
from devforge_api.billing.schemas.report import ReportQuerySchema, ReportSchema
from devforge_api.billing.service import report as service
from devforge_api.core.cells import cell
from devforge_api.core.clock import utc_now
from devforge_api.core.security import requires


def _asked(query: dict[str, Any]) -> tuple[date, date, str | None]:
    today = utc_now().date()
    last: date = query.get("last") or max(today, query.get("first") or today)
    return query.get("first") or last.replace(day=1), last, query.get("currency")


@blp.route("/report")
class Report(MethodView):
    """Sums of the ledger."""

    @requires("billing:read_all")
    @blp.arguments(ReportQuerySchema, location="query")
    @blp.response(200, ReportSchema)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """Report what was sold in some days, by currency, product and day"""
        first, last, currency = _asked(query)
        return {"first": first, "last": last, "currencies": service.report(first, last, currency)}


@blp.route("/report.csv")
class ReportCsv(MethodView):
    """The same as one table."""

    @requires("billing:read_all")
    @blp.arguments(ReportQuerySchema, location="query")
    @blp.response(200, {"type": "string"}, content_type="text/csv", example="currency,of,name,gross\r\n")
    def get(self, query: dict[str, Any]) -> Response:
        """The report for spreadsheets: totals, products and days, in minor units"""
        first, last, currency = _asked(query)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(service.COLUMNS)
        for row in service.rows(service.report(first, last, currency)):
            writer.writerow([cell(row[name]) for name in service.COLUMNS])
        name = f"report-{first}-{last}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        return Response(text.getvalue(), mimetype="text/csv", headers=headers)
