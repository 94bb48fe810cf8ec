"""Imitations of providers on loopback ports: `make run` sends to them, and so do the tests."""
