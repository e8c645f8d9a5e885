#!/usr/bin/env bash
# Install into .venv and run every bundle on its sample images. Works from any folder; a second run installs nothing.
set -euo pipefail
ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
. "$ROOT/.ci/environment.sh"
RESULTS="$ROOT/results"

# fuse WHAT BUNDLE MRI OTHER: run a bundle's inference on two images below its sample_data.
fuse() {
    local what="$1" bundle="$2" samples="$ROOT/$2/sample_data" out="$RESULTS/$2" log="$RESULTS/$2/log.txt"
    say "$bundle: fusing $what"
    mkdir -p "$out"
    if ! "$PYTHON" -m monai.bundle run inferring --config_file "$ROOT/$bundle/configs/inference.json" \
        --bundle_root "$ROOT/$bundle" --mri "$samples/$3" --other "$samples/$4" --output_dir "$out" >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        fail "$bundle failed on its samples; the full log is $log"
    fi
}

prepare_environment
fuse "a pair of slices (PNG)" gesenet_bundle mri/axial.png other/axial.png
fuse "a pair of volumes (NIfTI)" gesenet_bundle volume/t1.nii.gz volume/flair.nii.gz

say "done; the results:"
find "$RESULTS" \( -name '*.png' -o -name '*.nii.gz' \) | sort
