"""BIDS and BraTS: which files belong together, and what is refused."""

import pytest

from shared_networks.data import resolve_cases, resolve_pairs, training_cases
from shared_networks.errors import InputError


def cases_of(root, **keys):
    """Subject -> paths of both images below the root, or the reason."""
    cases = resolve_cases(dataset_dir=root, **keys)
    assert len({case["case"] for case in cases}) == len(cases)
    return {
        case["subject"]: case.get("refused") or [path.removeprefix(f"{root}/") for path in case["image"]]
        for case in cases
    }


def anat(folder, *names):
    return [f"{folder}/anat/{name}.nii.gz" for name in names]


def test_bids_subjects_with_and_without_sessions(touch):
    files = anat("sub-01", "sub-01_T1w", "sub-01_FLAIR", "sub-01_T2w", "sub-01_inplaneT1w")
    sessions = [anat(f"sub-02/ses-{n}", f"sub-02_ses-{n}_T1w", f"sub-02_ses-{n}_FLAIR") for n in "ab"]
    other = ["sub-01/anat/sub-01_T1w.json", "sub-01/func/sub-01_bold.nii.gz", "sub-03/func/sub-03_bold.nii.gz"]
    other += ["derivatives/x/sub-09/anat/sub-09_T1w.nii.gz", "derivatives/sub-01/anat/sub-01_FLAIR.nii.gz"]
    other += ["sourcedata/sub-01/anat/sub-01_T1w.nii.gz", "participants.tsv", "sub-01/anat/.sub-01_run-2_T1w.nii.gz"]
    root = touch(*files, *sessions[0], *sessions[1], *other)
    expected = {"sub-01": files[:2], "sub-02_ses-a": sessions[0], "sub-02_ses-b": sessions[1]}
    assert cases_of(root) == expected
    raw = [f"up/rawdata/{path}" for path in files[:2]]
    assert cases_of(touch(*raw) / "up") == {"sub-01": [path.removeprefix("up/") for path in raw]}
    assert cases_of(root, modalities=("T2", "flair"), allow_missing=True)["sub-01"] == [files[2], files[1]]
    assert cases_of(root / "sub-02") == {
        name: [path.removeprefix("sub-02/") for path in paths] for name, paths in expected.items() if "ses" in name
    }
    assert training_cases("validation", dataset_dir=root, validation_subjects=["sub-01"], unlabelled=True)[0]["case"]


def test_bids_runs_are_paired_by_their_entities_or_refused(touch):
    runs = anat("sub-1", *(f"sub-1_run-{n}_{kind}" for n in (1, 2) for kind in ("T1w", "FLAIR")))
    root = touch(*runs)
    assert cases_of(root) == {"sub-1_run-1": runs[:2], "sub-1_run-2": runs[2:]}
    touch("sub-1/anat/sub-1_run-3_T1w.nii.gz")
    assert cases_of(root) == {
        "sub-1": f"{root}/sub-1: 3 of t1 and 2 of flair, and nothing says which belong together; keep one of each, or "
        "name them in a data list."
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["acq-mprage_T1w", "acq-space_FLAIR"], ["acq-mprage_T1w", "acq-space_FLAIR"]),
        (["T1w", "ce-gadolinium_T1w", "FLAIR"], ["T1w", "FLAIR"]),
        (["ce-gadolinium_T1w", "FLAIR"], ["ce-gadolinium_T1w", "FLAIR"]),
        (["part-mag_T1w", "part-phase_T1w", "part-real_FLAIR", "FLAIR"], ["part-mag_T1w", "FLAIR"]),
        (["run-1_T1w", "run-2_T1w", "FLAIR"], "2 of t1 and 1 of flair"),
        (["acq-a_T1w", "acq-b_T1w", "acq-a_FLAIR", "acq-c_FLAIR"], "2 of t1 and 2 of flair"),
        (["T1w"], "sub-1 has no flair there; expected t1 and flair."),
        (["FLAIR"], "sub-1 has no t1 there"),
    ],
)
def test_bids_images_of_one_session(touch, names, expected):
    root = touch(*anat("sub-1", *(f"sub-1_{name}" for name in names)))
    found = cases_of(root)["sub-1"]
    if isinstance(expected, list):
        assert found == anat("sub-1", *(f"sub-1_{name}" for name in expected))
    else:
        assert expected in found and found.startswith(str(root))


def test_bids_case_without_one_modality(touch):
    root = touch(*anat("sub-1", "sub-1_FLAIR"))
    assert cases_of(root, allow_missing=True) == {"sub-1": ["", *anat("sub-1", "sub-1_FLAIR")]}


@pytest.mark.parametrize(
    ("endings", "folder"),
    [
        (("_t1", "_flair"), "BraTS2021_00000"),
        (("-t1n", "-t2f"), "BraTS-GLI-00000-000"),
        (("_T1", "_FLAIR"), "BraTS20_Training_001"),
        (("_T1w", "_FLAIR"), "."),
        (("_t1", "_flair"), "."),
        (("_t1", "_flair"), "MICCAI_Training/HGG/Brats18_2013_2_1"),
    ],
)
def test_files_named_by_case_and_modality(touch, endings, folder):
    files = [f"{folder}/x-1{ending}.nii.gz".removeprefix("./") for ending in endings]
    others = [f"{folder}/x-1{ending}.nii.gz" for ending in ("_t1ce", "-t1c", "_t2", "-t2w", "_seg")]
    root = touch(*files, *others)
    assert cases_of(root) == {"x-1": files}
    assert "label" not in resolve_cases(dataset_dir=root)[0]  # the labels of a tumour


def test_named_files_of_sections_with_labels(touch):
    root = touch(*(f"{part}/{part[0]}_{kind}.nii" for part in ("Training", "val") for kind in ("T1", "flair", "label")))
    touch("val/w_t1.nii", "derivatives/d_t1.nii", "derivatives/d_flair.nii", "too/deep/for/this/z_t1.nii")
    assert [case["case"] for case in resolve_cases(dataset_dir=root, section="training")] == ["T"]
    whole, lost = resolve_cases(dataset_dir=root, section="validation")
    assert whole["label"] == f"{root}/val/v_label.nii"
    assert lost["refused"] == f"{root}/val: w has no flair there; expected t1 and flair."
    touch("Training/T-t1n.nii")
    (case,) = resolve_cases(dataset_dir=root, section="training")
    assert case["refused"] == f"{root}/Training/T-t1n.nii and T_T1.nii: two images of one kind; keep one of them."


def test_pairs_for_two_dimensional_fusion(touch):
    root = touch(*anat("sub-1", "sub-1_T1w", "sub-1_FLAIR"), "sub-1/pet/sub-1_trc-FDG_pet.nii.gz")
    (pair,) = resolve_pairs(dataset_dir=root)
    assert pair["image"] == [
        str(root / anat("sub-1", "sub-1_T1w")[0]),
        str(root / "sub-1/pet/sub-1_trc-FDG_pet.nii.gz"),
    ]
    assert (pair["case"], pair["modality"], pair["patient"]) == ("sub-1_PET", "PET", "sub-1")
    (root / "sub-1/pet/sub-1_trc-FDG_pet.nii.gz").unlink()
    (pair,) = resolve_pairs(dataset_dir=root)
    assert pair["case"] == "sub-1_FLAIR" and pair["image"][1].endswith("sub-1_FLAIR.nii.gz")
    (root / "sub-1/anat/sub-1_FLAIR.nii.gz").unlink()
    with pytest.raises(InputError, match="nor a T1 with PET, CT, SPECT or FLAIR as in BIDS or BraTS"):
        resolve_pairs(dataset_dir=root)


def test_named_pairs_keep_their_sections(touch):
    root = touch("test/p_t1.nii", "test/p_ct.nii", "train/q_t1.nii", "train/q_spect.nii", "train/q_flair.nii")
    assert [pair["case"] for pair in resolve_pairs(dataset_dir=root)] == ["p_CT"]
    assert [pair["case"] for pair in resolve_pairs(dataset_dir=root, section="training")] == ["q_SPECT"]


def test_an_image_without_partner_is_refused_among_pairs(touch):
    root = touch(*anat("sub-1", "sub-1_T1w"), "sub-1/pet/sub-1_pet.nii.gz", *anat("sub-2", "sub-2_T1w"))
    touch("sub-3/pet/sub-3_pet.nii.gz", *anat("sub-4", "sub-4_FLAIR"))
    pairs = resolve_pairs(dataset_dir=root)
    assert [pair["case"] for pair in pairs] == ["sub-1_PET", "sub-2", "sub-3"]
    assert [pair.get("refused", "") for pair in pairs] == [
        "",
        f"{root / anat('sub-2', 'sub-2_T1w')[0]}: no partner beside it; expected T1 with PET or CT or SPECT.",
        f"{root / 'sub-3/pet/sub-3_pet.nii.gz'}: no partner beside it; expected T1 with PET or CT or SPECT.",
    ]
