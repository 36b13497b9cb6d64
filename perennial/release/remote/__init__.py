"""The bucket that DVC's files are pushed to: which runs are there, and every copy of every file."""
