"""Where releases are kept: one protocol, a local disk and S3 behind it."""
