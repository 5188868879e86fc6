"""How licences look on the wire, by topic."""
