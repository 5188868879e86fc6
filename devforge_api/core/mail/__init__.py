"""Mail: written with the transaction, sent after it, once for each row."""
