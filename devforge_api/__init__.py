"""Dev Forge API: one package a domain, on a core that knows none of them."""
