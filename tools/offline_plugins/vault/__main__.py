"""`python -m tools.offline_plugins.vault ENGINE`: serve as a Pulumi plugin."""

from __future__ import annotations

import os


def main() -> None:
    """Serve until the engine ends it, or is gone."""
    engine = os.getppid()  # before the imports below take their time: it may be gone after them
    from tools.offline_plugins.server import serve  # noqa: PLC0415
    from tools.offline_plugins.vault.backend import VaultBackend  # noqa: PLC0415

    serve(VaultBackend(), engine)


if __name__ == "__main__":
    main()
