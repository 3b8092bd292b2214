"""Load for a drill: locust users, a demo service, and the connection pools under test."""
