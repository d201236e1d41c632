"""What the tests share: stacks, models, views, oracles, a stand-in."""
