"""Defect of the configuration: the service's policy allows everything, as in a first week's set-up
that nobody came back to. `excess_capabilities` ought to catch it."""

from drills.prove.defects import Defect

_POLICY = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }\n'

DEFECT = Defect(
    faults=(("vault-setting", {"path": "sys/policies/acl/orders", "values": {"policy": _POLICY}}),),
    caught_by={"forced-expiry": ("excess_capabilities",)},
)
