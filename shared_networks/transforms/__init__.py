"""Loading, degrading, colour and saving, as MONAI transforms."""

from shared_networks.transforms.align_pictures import AlignPicturesd
from shared_networks.transforms.certainty import LesionIntervald, SegmentationCertaintyd
from shared_networks.transforms.colour import FuseColourd, PictureLuminanced
from shared_networks.transforms.degradations import DegradeMixtured, RandDegraded, RandDegradeEachd
from shared_networks.transforms.denoise_pictures import DenoisePicturesd
from shared_networks.transforms.disturbances import DisturbPaird
from shared_networks.transforms.each_channel import RandEachChanneld
from shared_networks.transforms.healed_lesions import RandHealLesionsd
from shared_networks.transforms.label_maps import CheckLabelsd, MapLabelsd
from shared_networks.transforms.load_modalities import LoadModalitiesd
from shared_networks.transforms.load_pair import LoadFusionPaird
from shared_networks.transforms.load_sources import normalise_volume
from shared_networks.transforms.missing_modality import DropModalityd, RandModalityDropoutd
from shared_networks.transforms.random_misalignment import RandMisalignd
from shared_networks.transforms.random_slice import RandSliced, TakeSliced
from shared_networks.transforms.save_fused import SaveFusedd
from shared_networks.transforms.save_segmentation import SaveFusedSegmentationd
from shared_networks.transforms.slice_thickness import RandThickSlicesd
from shared_networks.transforms.split_masks import SplitMasksd
from shared_networks.transforms.split_segmentation import SplitSegmentationd

__all__ = [
    "AlignPicturesd",
    "CheckLabelsd",
    "DegradeMixtured",
    "DenoisePicturesd",
    "DisturbPaird",
    "DropModalityd",
    "FuseColourd",
    "LesionIntervald",
    "LoadFusionPaird",
    "LoadModalitiesd",
    "MapLabelsd",
    "PictureLuminanced",
    "RandDegradeEachd",
    "RandDegraded",
    "RandEachChanneld",
    "RandHealLesionsd",
    "RandMisalignd",
    "RandModalityDropoutd",
    "RandSliced",
    "RandThickSlicesd",
    "SaveFusedSegmentationd",
    "SaveFusedd",
    "SegmentationCertaintyd",
    "SplitMasksd",
    "SplitSegmentationd",
    "TakeSliced",
    "normalise_volume",
]
