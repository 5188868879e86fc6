"""An empty database of the column's kind."""

import pytest

from tests import servers


@pytest.fixture
def fresh(environ, tmp_path, worker_id):
    """The settings of an empty database of this column's kind."""
    url = environ["DEVFORGE_DATABASE_URL"]
    settings = {**environ, "DEVFORGE_DATA_DIR": str(tmp_path)}
    if url.startswith("sqlite"):
        yield settings | {"DEVFORGE_DATABASE_URL": f"sqlite:///{tmp_path / 'fresh.sqlite3'}"}
        return
    name = servers.database_name(f"fresh_{worker_id}")
    made = servers.create_database(url, name)
    try:
        yield settings | {"DEVFORGE_DATABASE_URL": made}
    finally:
        servers.drop_database(url, name)
