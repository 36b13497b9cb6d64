"""What training minimises, over one similarity matrix of a batch's queries and documents."""
