"""Pictures without a plotting library: a colour map, a PNG encoder and a log-mel spectrogram as pixels.

Conventions: audio is float, mono, in -1..1; pixel arrays are ``uint8`` of shape ``(height, width)`` with
row 0 on top; colour tables are ``uint8`` of shape ``(256, 3)``, sRGB. Sources: the PNG specification (W3C,
2003); the OKLab colour space (Ottosson, 2020); the mel scale of O'Shaughnessy (1987), 2595·log10(1 +
f/700).
"""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from beatsight.errors import UsageError

SPECTROGRAM_LOW_HZ = 40.0
SPECTROGRAM_RANGE_DB = 70.0  # below this the picture shows the noise floor and no drum
_FRAME_S = 0.046  # long enough to tell a kick from a low tom, short enough to see a sixteenth

# Anchors in OKLab: lightness climbs in equal steps, the hue turns from blue through red to yellow.
_ANCHORS_AB = (
    (0.0, -0.02),
    (0.02, -0.11),
    (0.12, -0.09),
    (0.17, 0.02),
    (0.13, 0.1),
    (0.04, 0.13),
    (-0.01, 0.05),
)
_LIGHTNESS = (0.14, 0.98)


def colour_map() -> np.ndarray:
    """256 colours from near black to pale yellow whose perceived lightness rises evenly.

    Returns:
        ``uint8`` of shape ``(256, 3)``, sRGB.

    >>> colour_map().shape
    (256, 3)
    """
    at = np.linspace(0.0, 1.0, 256)
    anchors = np.linspace(0.0, 1.0, len(_ANCHORS_AB))
    a = np.interp(at, anchors, [pair[0] for pair in _ANCHORS_AB])
    b = np.interp(at, anchors, [pair[1] for pair in _ANCHORS_AB])
    lightness = _LIGHTNESS[0] + at * (_LIGHTNESS[1] - _LIGHTNESS[0])
    cones = np.stack(
        [
            lightness + 0.3963377774 * a + 0.2158037573 * b,
            lightness - 0.1055613458 * a - 0.0638541728 * b,
            lightness - 0.0894841775 * a - 1.2914855480 * b,
        ]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip(to_rgb @ cones**3, 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(encoded.T * 255).astype(np.uint8)


def encode_png(pixels: np.ndarray, colours: np.ndarray) -> bytes:
    """An indexed-colour PNG file.

    Args:
        pixels: ``uint8``, shape ``(height, width)``: indices into ``colours``, row 0 on top.
        colours: ``uint8``, shape ``(256, 3)``.

    Raises:
        UsageError: an array has another shape or type, or holds no pixel.
    """
    if pixels.ndim != 2 or not pixels.size or pixels.dtype != np.uint8:
        raise UsageError(
            f"pixels must be a non-empty uint8 matrix, not {pixels.dtype} of shape {pixels.shape}"
        )
    if colours.shape != (256, 3) or colours.dtype != np.uint8:
        raise UsageError(f"colours must be uint8 of shape (256, 3), not {colours.dtype} of {colours.shape}")
    height, width = pixels.shape
    # Every row starts with the number of its filter; 0 stores the row as it is.
    rows = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1).tobytes()
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", colours.tobytes()),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def data_uri(data: bytes, media_type: str) -> str:
    """Bytes as a ``data:`` address, so that a page needs no second file.

    >>> data_uri(b"hi", "text/plain")
    'data:text/plain;base64,aGk='
    """
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def mel(frequency_hz: np.ndarray | float) -> np.ndarray:
    """Frequency in Hz to mel.

    >>> float(mel(1000.0).round(1))
    1000.0
    """
    return 2595.0 * np.log10(1.0 + np.asarray(frequency_hz, dtype=np.float64) / 700.0)


def mel_height(frequency_hz: float, sample_rate: int) -> float:
    """Where a frequency lies in :func:`spectrogram_pixels`: 0 at the bottom edge, 1 at the top edge."""
    low, high = mel(SPECTROGRAM_LOW_HZ), mel(sample_rate / 2)
    return float((mel(frequency_hz) - low) / (high - low))


def _mel_filters(bins_hz: np.ndarray, bands: int, sample_rate: int) -> np.ndarray:
    """Triangles of height 1, evenly spaced in mel: shape ``(bands, len(bins_hz))``."""
    edges = np.linspace(mel(SPECTROGRAM_LOW_HZ), mel(sample_rate / 2), bands + 1)
    centres, half = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    # Low bands are narrower than a bin: a triangle is never narrower than the spacing of bins there.
    slope = 2595.0 / np.log(10) / (700.0 * 10 ** (centres / 2595.0))
    half_widths = np.maximum(half, slope * (bins_hz[1] - bins_hz[0]))
    weights = 1.0 - np.abs(mel(bins_hz)[None, :] - centres[:, None]) / half_widths[:, None]
    weights = np.maximum(weights, 0.0)
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)


def spectrogram_pixels(audio: np.ndarray, sample_rate: int, width: int = 1500, bands: int = 96) -> np.ndarray:
    """A log-mel spectrogram as a picture: column ``j`` shows the sound around ``(j + 0.5) / columns`` of it.

    Args:
        audio: shape ``(samples,)``, at least one sample.
        sample_rate: Hz.
        width: columns at most (never more than one per two milliseconds).
        bands: mel bands, one row each, the lowest in the last row.

    Returns:
        ``uint8`` of shape ``(bands, columns)``; 255 is the loudest point, 0 is 70 dB below it or less.

    Raises:
        UsageError: ``audio`` is not one-dimensional or is empty.
    """
    if audio.ndim != 1 or not audio.size:
        raise UsageError(f"a spectrogram needs a non-empty mono signal, not shape {audio.shape}")
    columns = max(1, min(width, int(audio.size / sample_rate * 500)))
    frame = max(16, round(_FRAME_S * sample_rate))
    centres = ((np.arange(columns) + 0.5) / columns * audio.size).astype(np.int64)
    padded = np.pad(audio.astype(np.float32), frame // 2 + 1)
    starts = centres + 1  # of the frame whose middle is the centre, in the padded signal
    window = np.hanning(frame).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(padded[starts[:, None] + np.arange(frame)] * window, axis=1)) ** 2
    filters = _mel_filters(np.fft.rfftfreq(frame, 1 / sample_rate), bands, sample_rate)
    power = filters @ spectrum.T
    loudest = power.max()
    if not loudest > 0:
        return np.zeros((bands, columns), np.uint8)
    level_db = 10 * np.log10(np.maximum(power / loudest, 1e-12))
    scaled = np.clip(1 + level_db / SPECTROGRAM_RANGE_DB, 0, 1)
    return np.round(scaled[::-1] * 255).astype(np.uint8)
