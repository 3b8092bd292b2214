"""The policy pack: `pulumi preview --policy-pack infra/policypack` refuses what breaks a rule."""
