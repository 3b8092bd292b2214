"""`python -m tools.offline_plugins.postgresql ENGINE`: serve as a Pulumi plugin."""

from tools.offline_plugins.postgresql.backend import PostgresqlBackend
from tools.offline_plugins.server import serve

if __name__ == "__main__":
    serve(PostgresqlBackend())
