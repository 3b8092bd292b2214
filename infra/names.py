"""Names that follow from the configuration, in one place."""

from __future__ import annotations

from infra.service_settings import DEFAULT_DATABASE, ServiceSettings

#: Mount of the key-value engine; the hierarchy below it is <environment>/<service>/<secret-type>.
KEY_VALUE = "secret"


def secret_path(environment: str, service: str, secret_type: str) -> str:
    """Return a secret's path as `vault kv get` takes it."""
    return f"{KEY_VALUE}/{environment}/{service}/{secret_type}"


def secret_data_path(environment: str, service: str, secret_type: str) -> str:
    """Return a secret's path in the API and in policies."""
    return f"{KEY_VALUE}/data/{environment}/{service}/{secret_type}"


def secret_metadata_path(environment: str, service: str, secret_type: str) -> str:
    """Return the path of what is known of a secret: owner, dates, versions; not its value."""
    return f"{KEY_VALUE}/metadata/{environment}/{service}/{secret_type}"


def static_role(service: str) -> str:
    """Return the name of a service's static role in Vault."""
    return f"{service}-static"


def roles(service: ServiceSettings) -> list[str]:
    """Return a service's roles in the database engine: read-write, read-only, static if any."""
    static = [static_role(service.name)] if service.static else []
    return [service.name, f"{service.name}-ro", *static]


def roles_by_database(services: list[ServiceSettings]) -> dict[str, list[str]]:
    """Return the roles that may use each database's connection."""
    return {
        database: [role for each in services if each.database == database for role in roles(each)]
        for database in databases(services)
    }


def databases(services: list[ServiceSettings]) -> list[str]:
    """Return each database that a service is in; the one that drills observe is always there."""
    return list(dict.fromkeys([DEFAULT_DATABASE, *(each.database for each in services)]))
