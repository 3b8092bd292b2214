"""The stand-in for pulumi-resource-postgresql."""
