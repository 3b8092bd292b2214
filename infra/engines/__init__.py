"""Components: the secrets engines that a stack asks for, one a file."""

from __future__ import annotations

from infra.cluster.vault import VaultCluster
from infra.engine_settings import EngineSettings
from infra.engines.aws import Aws
from infra.engines.pki import Pki
from infra.engines.ssh import Ssh
from infra.engines.transit import Transit


def declare(cluster: VaultCluster, settings: EngineSettings) -> None:
    """Declare each engine that `settings` has, under its own name."""
    if settings.pki is not None:
        Pki("pki", cluster, settings.pki)
    if settings.ssh is not None:
        Ssh("ssh", cluster, settings.ssh)
    if settings.transit is not None:
        Transit("transit", cluster, settings.transit)
    if settings.aws is not None:
        Aws("aws", cluster, settings.aws)
