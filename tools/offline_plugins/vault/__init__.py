"""The stand-in for pulumi-resource-vault."""
