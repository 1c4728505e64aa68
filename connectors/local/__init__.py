"""What processes of one machine say to each other."""
