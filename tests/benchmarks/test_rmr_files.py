"""Files of a case on its own and on a large grid."""

import nibabel as nib
import numpy as np
import torch

from benchmarks import RMR, rmr_files


def test_a_case_on_its_own_and_on_a_large_grid(tmp_path):
    paths = [tmp_path / f"{name}.nii.gz" for name in ("t1", "flair")]
    for path in paths:
        nib.save(nib.load(RMR / "sample_data" / path.name).slicer[30:44, 40:56, 20:29], path)
    words = ["--case", *map(str, paths), "--side", "40", "--threads", "1", "--out", str(tmp_path / "out")]
    result = rmr_files.main(words)
    assert result["command"] == "python -m benchmarks.rmr_files --case T1 FLAIR --side 40 --threads 1"
    assert [one["grid"] for one in result["grids"]] == [[14, 16, 9], [40, 40, 40]]
    # The whole cut-out is brain: margins of 4, 4 and 1 voxels around it.
    assert result["network_gets"] == [22, 24, 11]
    result["grids"][1]["seconds"] = {"loading": 0.5, "image quality": 1.25, "rules and saving": 2.0}
    assert "| 40 x 40 x 40 | 0.5 | 1.2 | 2.0 | 3.8 |" in rmr_files.table(result)


def test_the_cube_has_zeros_behind_the_case(tmp_path):
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4) + 1
    nib.save(nib.Nifti1Image(voxels, np.diag([2.0, 1, 1, 1])), tmp_path / "t1.nii.gz")
    (path,) = rmr_files.pad_to_cube([tmp_path / "t1.nii.gz"], tmp_path, 4)
    cube = nib.load(path)
    assert cube.shape == (4, 4, 4) and np.array_equal(cube.affine, np.diag([2.0, 1, 1, 1]))
    assert np.array_equal(cube.dataobj[:2, :3, :4], voxels) and np.asarray(cube.dataobj).sum() == voxels.sum()


def test_classes_stand_for_the_output():
    image = torch.linspace(0, 1, 1000).reshape(1, 10, 10, 10).expand(2, -1, -1, -1)
    brain = torch.ones(1, 10, 10, 10)
    brain[:, 0] = 0
    output = rmr_files.classes_by_intensity(image, brain)
    assert torch.allclose(output[-1], image[0]) and output.shape == (6, 10, 10, 10)
    counts = output[:-1].argmax(0).flatten().bincount(minlength=5)
    # 900 voxels of brain in three thirds; a hundredth of them is taken from the brightest.
    assert counts[0] == 100 and (counts[1:3] - 300).abs().max() <= 4 and abs(int(counts[4]) - 9) <= 4
