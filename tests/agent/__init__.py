"""Tests that run the real agent (`make test-agent`): it never reaches any network."""
