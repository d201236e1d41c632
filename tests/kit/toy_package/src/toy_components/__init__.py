"""One component of every kind, as another package would bring it to cryoprior."""

from cryoprior.commands import Command

COUNT = Command("toy_components.count", "Count the particles of a file.")
