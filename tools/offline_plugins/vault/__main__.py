"""`python -m tools.offline_plugins.vault ENGINE`: serve as a Pulumi plugin."""

from tools.offline_plugins.server import serve
from tools.offline_plugins.vault.backend import VaultBackend

if __name__ == "__main__":
    serve(VaultBackend())
