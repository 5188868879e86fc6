"""What can be listed and looked up about billing."""
