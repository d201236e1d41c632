"""Training of map priors: from molecules, or from the half maps of a user."""
