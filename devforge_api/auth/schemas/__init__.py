"""How auth looks on the wire, by topic."""
