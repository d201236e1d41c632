from __future__ import annotations

import gemmi
import numpy as np
import pytest

from cryoprior.errors import InputError
from cryoprior.image.potential import assembly_model, fourier_crop_volume, mass_centre, potential_map

CHAINS = {"BA": (0.0, 0.0, 0.0), "BG": (12.0, 0.0, 0.0), "L1": (0.0, 20.0, 0.0)}


def structure(chains: dict[str, tuple[float, float, float]] = CHAINS) -> gemmi.Structure:
    found = gemmi.Structure()
    model = gemmi.Model(1)
    for name, place in chains.items():
        chain = gemmi.Chain(name)
        residue = gemmi.Residue()
        residue.name, residue.seqid = "GLY", gemmi.SeqId("1")
        atom = gemmi.Atom()
        atom.name, atom.element, atom.pos = "CA", gemmi.Element("C"), gemmi.Position(*place)
        residue.add_atom(atom)
        chain.add_residue(residue)
        model.add_chain(chain)
    found.add_model(model)
    found.setup_entities()
    return found


def names(model: gemmi.Model) -> list[str]:
    return [chain.name for chain in model]


def test_chains_are_kept_and_left_out_by_pattern() -> None:
    assert names(assembly_model(structure(), (), (), "x")) == ["BA", "BG", "L1"]
    assert names(assembly_model(structure(), ("B*",), (), "x")) == ["BA", "BG"]
    assert names(assembly_model(structure(), ("B*",), ("BG",), "x")) == ["BA"]
    with pytest.raises(InputError, match=r"x: no chain matches 'C\*'; its chains are BA, BG, L1"):
        assembly_model(structure(), (), ("C*",), "x")
    with pytest.raises(InputError, match="no atom is left"):
        assembly_model(structure(), (), ("*",), "x")


def test_the_structure_itself_is_left_as_it_was() -> None:
    whole = structure()
    assembly_model(whole, ("BA",), (), "x")
    assert names(whole[0]) == ["BA", "BG", "L1"]


def test_the_centre_of_mass_is_at_the_centre_of_the_box() -> None:
    model = assembly_model(structure(), (), (), "x")
    centre = mass_centre(model)
    np.testing.assert_allclose(centre, [4.0, 20 / 3, 0.0], atol=1e-5)
    volume = potential_map(model, 32, 3.0, centre, 1500.0).astype(np.float64)
    axis = np.arange(32) - 16
    found = [
        (volume.sum(tuple(other for other in range(3) if other != a)) * axis).sum() / volume.sum() for a in range(3)
    ]
    np.testing.assert_allclose(found, 0, atol=0.02)


def test_an_atom_lies_where_it_should_on_z_y_x() -> None:
    model = assembly_model(structure({"A": (6.0, -9.0, 15.0)}), (), (), "x")
    volume = potential_map(model, 32, 3.0, np.zeros(3), 300.0)
    assert np.unravel_index(volume.argmax(), volume.shape) == (16 + 5, 16 - 3, 16 + 2)
    assert model[0][0][0].pos.x == 6.0


def test_the_b_factor_spreads_the_density_and_keeps_its_sum() -> None:
    model = assembly_model(structure({"A": (0.0, 0.0, 0.0)}), (), (), "x")
    sharp, broad = (potential_map(model, 24, 3.0, np.zeros(3), b) for b in (100.0, 600.0))
    assert sharp.max() > 2 * broad.max()
    assert sharp.sum() == pytest.approx(broad.sum(), rel=0.02)


def test_a_box_too_small_says_how_large_the_model_is() -> None:
    model = assembly_model(structure(), (), (), "x")
    with pytest.raises(InputError, match=r"ribosome: the model reaches \d+ angstrom .* 16 angstrom wide.*box"):
        potential_map(model, 8, 2.0, np.zeros(3), 80.0, "ribosome")


def test_fourier_crop_samples_a_smooth_volume() -> None:
    def wave(size: int) -> np.ndarray:
        axis = np.arange(size) / size * 2 * np.pi
        z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
        return (1 + np.cos(x - 0.3) + np.sin(2 * y) * np.cos(z)).astype(np.float32)

    np.testing.assert_allclose(fourier_crop_volume(wave(24), 12), wave(12), atol=1e-5)
    np.testing.assert_array_equal(fourier_crop_volume(wave(12), 12), wave(12))
