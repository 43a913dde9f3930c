"""What an assembly is made of, described in blocks; knows nothing of calculus."""
