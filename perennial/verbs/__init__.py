"""What the command line does beside the stages: import, bootstrap, simulate, snapshot."""
