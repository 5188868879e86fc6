"""Refusals about webhooks."""

from devforge_api.core.errors import Conflict, NotFound


class EndpointNotFound(NotFound):
    """There is no such webhook endpoint."""

    code = "WEBHOOK_ENDPOINT_NOT_FOUND"


class DeliveryNotFound(NotFound):
    """There is no such delivery of this endpoint."""

    code = "WEBHOOK_DELIVERY_NOT_FOUND"


class TooManyEndpoints(Conflict):
    """You have as many webhook endpoints as one may have; delete one."""

    code = "TOO_MANY_WEBHOOK_ENDPOINTS"


class EndpointDisabled(Conflict):
    """This endpoint is disabled; enable it first."""

    code = "WEBHOOK_ENDPOINT_DISABLED"
