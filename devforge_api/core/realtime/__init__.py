"""What reaches people while they look: a lasting feed for each user, and messages that nobody keeps."""
