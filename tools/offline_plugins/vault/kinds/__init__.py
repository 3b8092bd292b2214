"""The types that differ from a plain path in Vault's API, each in the one step where it does."""
