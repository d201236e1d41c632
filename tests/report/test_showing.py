"""Figures for a notebook: what is drawn, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import cryoprior
from cryoprior.errors import InputError
from kit.stacks import BOX, draw_images, write_particles


def pictures(figure: object) -> list[np.ndarray]:
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


def test_images_stand_in_one_row_with_one_grey_scale() -> None:
    images = draw_images(9)
    figure = cryoprior.show(torch.from_numpy(images), n=4, titles=["first"])
    np.testing.assert_allclose(pictures(figure), images[:4])
    assert [axes.get_title() for axes in figure.axes] == ["first", "1", "2", "3"]
    assert len({axes.images[0].get_clim() for axes in figure.axes}) == 1
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert len(pictures(cryoprior.show(images[0]))) == 1


def test_named_images_stand_beside_each_other_particle_by_particle(tmp_path: Path) -> None:
    path, images, _ = write_particles(tmp_path)
    result = cryoprior.reconstruct(cryoprior.measure(images, "identity"), f"identity:box={BOX}", solver="least-squares")
    figure = cryoprior.show({"original": cryoprior.read_particles(path), "ours": result}, n=2)
    np.testing.assert_allclose(pictures(figure), [images[0], images[0], images[1], images[1]], atol=1e-5)
    assert [axes.get_title() for axes in figure.axes] == ["original", "ours", "", ""]
    first, second, third, _ = (axes.images[0].get_clim() for axes in figure.axes)
    assert first == second != third


def test_curves_are_drawn_over_resolution() -> None:
    resolution = np.array([np.inf, 40, 20, 10.0])
    figure = cryoprior.show_curves({"ours": torch.ones(4), "theirs": np.zeros(4)}, resolution, level=0.143)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ours", "theirs"]
    np.testing.assert_allclose(axes.lines[0].get_xdata(), [0.025, 0.05, 0.1])
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(InputError, match=r"images: an array of shape \(4,\); expected \(n, box, box\)"):
        cryoprior.show(np.zeros(4))
    with pytest.raises(InputError, match="images: 6 of a, 2 of b; expected as many under each name"):
        cryoprior.show({"a": draw_images(7), "b": draw_images(2)})
    with pytest.raises(InputError, match="images: none"):
        cryoprior.show({})
    with pytest.raises(InputError, match=r"a: a curve of shape \(3,\); expected one value per shell, \(4,\)"):
        cryoprior.show_curves({"a": np.zeros(3)}, np.ones(4))
    with pytest.raises(InputError, match="curves: none"):
        cryoprior.show_curves({}, np.ones(4))


def test_matplotlib_is_imported_when_something_is_drawn() -> None:
    code = "import sys, cryoprior; cryoprior.show, cryoprior.show_curves; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
