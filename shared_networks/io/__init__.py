"""Images in and out: file names, reading with all checks, grids, colour, DICOM."""
