"""What auth does, by topic: signing in, sessions, and verifying tokens."""
