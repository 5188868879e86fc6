"""What every domain stands on: database, wire, limits, events, keys. Knows no domain."""
