"""Where contents of files are: a folder, or a bucket that speaks S3's protocol."""
