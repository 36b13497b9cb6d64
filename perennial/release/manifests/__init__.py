"""What a release consists of, byte by byte, and how that is written down."""
