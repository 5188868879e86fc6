"""How what goes by mail looks on the wire."""

from devforge_api.auth.schemas.signing_in import PASSWORD
from devforge_api.core import fields
from devforge_api.core.schemas import BaseSchema

LINK_TOKEN = {"example": "mF9kQ2vT7xR4bN8sW1yZ6cH3jL5pD0aGqUeIoVtXrYw"}


class AddressSchema(BaseSchema):
    """An address."""

    email = fields.Email(required=True, metadata={"example": "ada@example.com"})


class LinkSchema(BaseSchema):
    """The token of a letter's link."""

    token = fields.Text(max=200, required=True, load_only=True, metadata=LINK_TOKEN)


class PasswordResetSchema(LinkSchema):
    """The token of a letter's link, and the password that is to count."""

    password = fields.Text(max=128, required=True, load_only=True, **PASSWORD)
