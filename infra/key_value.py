"""Component: the key-value engine, and which third-party keys are in it.

Values are written by their owners (`vault kv put`), never by Pulumi: no state file has them.
"""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_vault as vault

from infra import names
from infra.cluster.vault import VaultCluster
from infra.engine_settings import ApiKeySettings


class KeyValue(pulumi.ComponentResource):
    """KV v2 at `secret`. `api_keys` is what the stack says of the keys that are declared."""

    def __init__(
        self,
        name: str,
        cluster: VaultCluster,
        *,
        environment: str,
        api_keys: list[ApiKeySettings],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("rotation-drills:secrets:KeyValue", name, None, opts)
        self.settings = api_keys
        self.mount = vault.Mount(
            f"{name}-mount",
            path=names.KEY_VALUE,
            type="kv",
            options={"version": "2"},
            description="secret/<environment>/<service>/<secret-type>",
            opts=cluster.options(self),
        )
        for key in api_keys:
            vault.generic.Endpoint(
                f"{name}-{key.service}-{key.name}",
                path=names.secret_metadata_path(environment, key.service, key.name),
                data_json=json.dumps(
                    {
                        "custom_metadata": {
                            "owner": key.owner,
                            "rotate_by": key.rotate_by.isoformat(),
                        }
                    },
                    sort_keys=True,
                    separators=(",", ":"),
                ),
                ignore_absent_fields=True,
                disable_delete=True,  # who takes a key out of the file may still want its value
                opts=cluster.options(self, depends_on=[self.mount]),
            )
        self.api_keys: list[dict[str, Any]] = [
            {
                "path": names.secret_path(environment, key.service, key.name),
                "owner": key.owner,
                "rotate_by": key.rotate_by.isoformat(),
            }
            for key in api_keys
        ]
        self.register_outputs({})
