"""What licences do, by topic: catalogue, lifecycle, validation, activation."""
