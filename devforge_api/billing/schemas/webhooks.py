"""What payment providers are answered."""

from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema


class ReceivedSchema(BaseSchema):
    """An event that is kept."""

    received = fields.Bool(metadata={"example": True})
    duplicate = fields.Bool(metadata={"description": "It was told before.", "example": False})
