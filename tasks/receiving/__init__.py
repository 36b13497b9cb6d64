"""What starts a flow from outside: who sent it, what it says, whether it may, and the run."""
