"""The baseline: pixels whose ratio of red to blue exceeds a threshold are cloud.

Clear air scatters blue light far more than red, while cloud scatters both equally, so a fixed ratio of red to blue
separates them. Long et al., 2006 (doi:10.1175/JTECH1875.1) use 0.6 for their camera; here the threshold is fitted.
"""

import numpy as np
import numpy.typing as npt
from data import CLEAR, CLOUD, Example

_LIMITS = np.linspace(0, 2, 401)


def red_blue_ratio(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return red divided by blue of each pixel of an (H, W, 3) RGB image; 1 for a black pixel."""
    levels = image.astype(np.float32) + 1
    return np.asarray(levels[..., 0] / levels[..., 2])


def fit_limit(examples: list[Example]) -> float:
    """Return the threshold on the ratio that maximizes the pooled IoU."""
    edges = np.concatenate([_LIMITS, [np.inf]])
    cloud, clear = np.zeros(len(_LIMITS)), np.zeros(len(_LIMITS))
    for example in examples:
        ratio = red_blue_ratio(example.image)
        cloud += np.histogram(ratio[example.label == CLOUD], edges)[0]
        clear += np.histogram(ratio[example.label == CLEAR], edges)[0]
    hits, false_alarms = cloud[::-1].cumsum()[::-1], clear[::-1].cumsum()[::-1]
    return float(_LIMITS[np.argmax(hits / np.maximum(cloud.sum() + false_alarms, 1))])
