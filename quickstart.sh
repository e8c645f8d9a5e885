#!/usr/bin/env bash
# Install into .venv and run every bundle on its sample images. Works from any folder; a second run installs nothing.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$ROOT/.ci/environment.sh"
RESULTS="$ROOT/results"

# fuse WHAT BUNDLE ARGUMENT...: run a bundle's inference on images that the arguments name.
fuse() {
    local what="$1" bundle="$2" out="$RESULTS/$2" log="$RESULTS/$2/log.txt"
    shift 2
    say "$bundle: $what"
    mkdir -p "$out"
    if ! "$PYTHON" -m monai.bundle run inferring --config_file "$ROOT/$bundle/configs/inference.json" \
        --bundle_root "$ROOT/$bundle" --output_dir "$out" "$@" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "$bundle failed on its samples; the full log is $log"
    fi
}

prepare_environment
SAMPLES="$ROOT/gesenet_bundle/sample_data"
fuse "fusing a pair of slices (PNG)" gesenet_bundle --mri "$SAMPLES/mri/axial.png" --other "$SAMPLES/other/axial.png"
fuse "fusing a pair of volumes (NIfTI)" gesenet_bundle \
    --mri "$SAMPLES/volume/t1.nii.gz" --other "$SAMPLES/volume/flair.nii.gz"
SAMPLES="$ROOT/rmr_fusion_bundle/sample_data"
fuse "fusing and segmenting a pair of volumes" rmr_fusion_bundle \
    --t1 "$SAMPLES/t1.nii.gz" --flair "$SAMPLES/flair.nii.gz"

say "done; the results:"
find "$RESULTS" \( -name '*.png' -o -name '*.nii.gz' \) | sort
