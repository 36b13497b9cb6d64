"""What clicks say of documents once their places are taken into account."""
