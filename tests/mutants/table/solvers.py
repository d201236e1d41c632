"""Faults of solvers and of what they share."""

from __future__ import annotations

from mutants.mutant import Mutant

EXACT = "tests/solvers/test_closed_forms.py"
PEERS = "tests/solvers/test_peers.py"
SIGNAL = "tests/solvers/test_signal.py"

SOLVERS = (
    Mutant(
        "C of the prior at every level",
        "solvers/exact.py",
        "covariance = self.power * tau**2 / (self.power + tau**2)\n        return self.measurement",
        "covariance = self.power\n        return self.measurement",
        EXACT + " -k exact_mean",
    ),
    Mutant(
        "a bridge that is too short",
        "solvers/exact.py",
        "r = (lower / tau) ** 2",
        "r = lower / tau",
        EXACT + " -k posterior_law",
    ),
    Mutant(
        "chains that mirror nothing",
        "solvers/exact.py",
        "return self.sign * super().normal_like(x)",
        "return super().normal_like(x)",
        EXACT + " -k exact_mean",
    ),
    Mutant(
        "the signal takes all of the change",
        "solvers/exact.py",
        "self.share = signal / floored(signal + noise)",
        "self.share = torch.ones_like(signal)",
        SIGNAL + " -k posterior_mean_of_s",
    ),
    Mutant(
        "no look-ahead",
        "solvers/nesterov.py",
        "p = x0_hat - kappa * m",
        "p = x0_hat",
        PEERS + " -k nesterov",
    ),
    Mutant(
        "zeta 1 for blocks of 32",
        "solvers/nesterov.py",
        'if operator.kind.get("block") == 32',
        'if operator.kind.get("block") == 64',
        "tests/solvers/test_nesterov.py",
    ),
    Mutant(
        "a DDPM in units of four deviations",
        "solvers/parts/chain.py",
        "return cls(prior, 1 / scale, -offset / scale)",
        "return cls(prior, UNIT)",
        "tests/solvers/test_nesterov.py",
    ),
    Mutant(
        "ancestral noise of beta",
        "solvers/parts/chain.py",
        "math.sqrt((1 - abar_prev) / (1 - abar) * beta)",
        "math.sqrt(beta)",
        PEERS + " -k nesterov",
    ),
    Mutant(
        "the deviation of two draws too small",
        "solvers/parts/chain.py",
        "(squares / (count - 1)).sqrt()",
        "(squares / (count + 1)).sqrt()",
        EXACT + " -k deviation",
    ),
    Mutant(
        "the deviation without what noise hides",
        "solvers/parts/spread.py",
        "return _deviation(within / count + squares / max(count - 1, 1))",
        "return _deviation(squares / max(count - 1, 1))",
        SIGNAL + " -k deviation",
    ),
    Mutant(
        "DDRM trusts noisy numbers",
        "solvers/ddrm.py",
        "torch.where(deviation <= lower, known, noisy)",
        "torch.where(deviation <= tau, known, noisy)",
        PEERS + " -k 'ddrm or Ddrm'",
    ),
    Mutant(
        "DDNM without the noise of y",
        "solvers/ddnm.py",
        "gamma = (drawn**2 - (lambda_ * deviation) ** 2).clamp_min(0).sqrt()",
        "gamma = torch.full_like(lambda_, drawn)",
        PEERS + " -k 'ddnm or Ddnm'",
    ),
    Mutant(
        "PiGDM forgets the noise of y",
        "solvers/pigdm.py",
        "weight = r2 / (r2 + measurement.deviation**2)",
        "weight = r2 / (r2 + 0 * measurement.deviation)",
        PEERS + " -k 'pigdm or PiGdm'",
    ),
    Mutant(
        "DPS follows the gradient once",
        "solvers/dps.py",
        "gradient = -2 * pullback(back)",
        "gradient = -pullback(back)",
        PEERS + " -k 'dps or Dps'",
    ),
    Mutant(
        "the mean image is left where it was",
        "solvers/gaussian.py",
        "mean = prior.mean_image(operator.box, y)",
        "mean = 0 * prior.mean_image(operator.box, y)",
        SIGNAL + " -k wiener",
    ),
    Mutant(
        "a noisy y is fitted to the end",
        "measurement/conditioning.py",
        "return self.analyse(spread(w)) + variance * w",
        "return self.analyse(spread(w)) + 0 * variance * w",
        EXACT + " -k exact_mean",
    ),
    Mutant(
        "draws without the noise of y",
        "measurement/conditioning.py",
        "misfit = misfit + self._kept(self.deviation * noise.normal_like(misfit))",
        "misfit = misfit + 0 * self._kept(self.deviation * noise.normal_like(misfit))",
        EXACT + " -k posterior_law",
    ),
    Mutant(
        "the mean turns no image back",
        "prior/posterior.py",
        "return (0, 6, 4, 2, 1, 7, 5, 3)[:count]",
        "return (0, 0, 0, 0, 0, 0, 0, 0)[:count]",
        "tests/prior/test_posterior.py",
    ),
)
