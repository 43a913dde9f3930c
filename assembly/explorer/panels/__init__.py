"""The panels of the page, each a few widgets and pictures of the answers."""
