"""The drum set of one song: which pieces, how they are tuned, damped, miked and how loud they stand.

Pieces of several kits are mixed, pitched, damped and equalised, because a model that learns a handful of
kits by heart hears nothing else: one kit per song and no changes cost 10 points of F on real drums, and most
of the cymbals.

Conventions: levels in dB, velocity and openness 0..1; strokes come out as
:class:`beatsight.synth.studio.sounding.Sound`, with their onsets.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beatsight.synth.room import shelf
from beatsight.synth.studio.bank import HIHAT, Bank, Piece, Take, role_of
from beatsight.synth.studio.filters import peaking
from beatsight.synth.studio.sounding import Sound, Voice, render_take
from beatsight.synth.studio.synthetic import synthetic_piece

# Level of a full stroke over its first 80 ms, dB against the kick, and its spread from song to song.
_LEVELS_DB = {
    "kick": (0.0, 3.0), "snare": (-2.0, 3.0), "cross_stick": (-10.0, 4.0),
    "tom_high": (-3.0, 3.5), "tom_mid": (-3.0, 3.5), "tom_low": (-2.0, 3.5),
    "hihat": (-14.0, 5.0), "ride": (-14.0, 5.0), "crash": (-8.0, 4.0), "splash": (-11.0, 4.0),
    "china": (-9.0, 4.0), "cowbell": (-9.0, 4.0), "clap": (-8.0, 4.0), "tambourine": (-12.0, 4.0),
    "shaker": (-16.0, 4.0), "aux_percussion": (-10.0, 4.0),
}  # fmt: skip
# Articulations of one instrument against each other.
_ARTICULATION_DB = {
    "hihat_open": 3.0, "hihat_half": 2.0, "hihat_pedal": -5.0, "hihat_foot_splash": -4.0,
    "ride_bell": 3.0, "ride_edge": 5.0,
}  # fmt: skip
_HAND_PERCUSSION = frozenset({"clap", "tambourine", "shaker", "cowbell"})
_CYMBAL_ROLES = frozenset({HIHAT, "ride", "crash", "splash", "china"})
# Round robin: the strokes whose velocity is about as near as the nearest one's.
_NEAR = 0.12
_CLICK_SHARE = 0.4
# A washing cymbal gains 60 dB in so many seconds against its own decay.
_WASH_S = (6.0, 15.0)


@dataclass(frozen=True)
class DrumsetConfig:
    """How drum sets are drawn; shares are probabilities, spreads standard deviations.

    Attributes:
        own_kit_share: all pieces of one kit where it has them, instead of a mixture.
        machine_share: the whole set is a drum machine.
        machine_piece_share: a single piece of a mixture is a machine's.
        pitch_spread: semitones.
        damp_share: a piece is damped.
        wash_share: a cymbal rings longer than it was recorded: loud overheads, long ride patterns.
        level_scale: factor of the spreads of levels.
        mic_spread_db: of each microphone's level.
        eq_spread_db: of each of a piece's three filters.
        velocity_power: mean and spread of the exponent from velocity to amplitude.
        synthetic_share: a piece of a mixture is not a recording but synthesised.
        synthetic_percussion_share: likewise of hand percussion, of which there are few recordings.
        click_db: up to how far the top of a kick, snare or tom is raised, in two of five: a hard click is no
            hat.
    """

    own_kit_share: float = 0.3
    machine_share: float = 0.05
    machine_piece_share: float = 0.08
    pitch_spread: float = 1.5
    damp_share: float = 0.5
    wash_share: float = 0.0
    level_scale: float = 1.0
    mic_spread_db: float = 5.0
    eq_spread_db: float = 3.0
    velocity_power: tuple[float, float] = (1.35, 0.25)
    synthetic_share: float = 0.0
    synthetic_percussion_share: float = 0.0
    click_db: float = 0.0


def _is_machine(piece: Piece) -> bool:
    """Whether the piece is an electronic one-shot: no kit of velocity layers and microphones."""
    return all(take.velocity is None for take in piece.takes) or piece.kit == "oneshots"


class Drumset:
    """The drums of one song, drawn from a bank."""

    def __init__(self, rng: np.random.Generator, bank: Bank, config: DrumsetConfig | None = None) -> None:
        self._rng, self._bank = rng, bank
        self._config = config or DrumsetConfig()
        self._machine = rng.random() < self._config.machine_share
        kits = sorted({p.kit for p in bank.pieces.get("snare", ()) if not _is_machine(p)})
        own = rng.random() < self._config.own_kit_share and not self._machine and bool(kits)
        self._kit = str(rng.choice(kits)) if own else ""
        self._voices: dict[str, Voice] = {}
        self._power = max(0.7, float(rng.normal(*self._config.velocity_power)))
        # What a set has in common: the distance of its microphones.
        self._near_db, self._room_db = float(rng.normal(0.0, 5.0)), float(rng.normal(-3.0, 6.0))

    def amplitude(self, label: str, velocity: float) -> float:
        """Linear gain of a stroke, against a full stroke of the kick."""
        voice = self._voice(label)
        level = voice.level_db + _ARTICULATION_DB.get(label, 0.0)
        return float(10 ** (level / 20) * velocity**self._power)

    def sound(self, label: str, velocity: float, openness: float | None) -> Sound | None:
        """A recorded stroke that fits best; None where the bank has no such drum.

        Args:
            label: what is asked for; the sound's own label is what was played, e.g. the nearest openness.
            velocity: 0..1.
            openness: 0..1 for hats.
        """
        role = role_of(label)
        if role not in self._bank.pieces and not self._synthetic_share(role):
            return None
        voice = self._voice(label)
        take = self._choose(voice, label, velocity, openness)
        if take is None:
            return None
        key = id(take)
        if key not in voice.sounds:
            voice.sounds[key] = render_take(voice, take, self._source(voice, take))
        return voice.sounds[key]

    def _synthetic_share(self, role: str) -> float:
        config = self._config
        return config.synthetic_percussion_share if role in _HAND_PERCUSSION else config.synthetic_share

    def _source(self, voice: Voice, take: Take) -> str:
        pieces = (voice.piece, *self._bank.pieces.get(voice.piece.role, ()))
        piece = next((p for p in pieces if any(t is take for t in p.takes)), voice.piece)
        return f"{piece.kit}:{piece.name}"

    # --- drawing ---

    def _voice(self, label: str) -> Voice:
        # A crash and a second crash are two cymbals of one role.
        role = role_of(label)
        key = "crash2" if label == "crash2" else role
        if key not in self._voices:
            self._voices[key] = self._draw(role, label)
        return self._voices[key]

    def _draw(self, role: str, label: str) -> Voice:
        rng, config = self._rng, self._config
        share = self._synthetic_share(role)
        missing = role not in self._bank.pieces
        drawn = share and (role in _HAND_PERCUSSION or not self._kit) and rng.random() < share
        if drawn or missing:
            piece = synthetic_piece(int(rng.integers(1 << 31)), role)
            if piece is not None:
                return self._voice_of(piece, role)
        pieces = self._bank.pieces[role]
        machines = [p for p in pieces if _is_machine(p)]
        recorded = [p for p in pieces if not _is_machine(p)]
        own = [p for p in recorded if p.kit == self._kit]
        if self._machine or not recorded:
            chosen = machines or recorded
        elif own:
            chosen = own
        elif machines and rng.random() < config.machine_piece_share:
            chosen = machines
        else:
            # Kits alike, whatever the number of their pieces.
            kit = str(rng.choice(sorted({p.kit for p in recorded})))
            chosen = [p for p in recorded if p.kit == kit]
        return self._voice_of(chosen[int(rng.integers(len(chosen)))], role)

    def _voice_of(self, piece: Piece, role: str) -> Voice:
        rng, config = self._rng, self._config
        mean, spread = _LEVELS_DB.get(role, (-8.0, 4.0))
        return Voice(
            piece=piece,
            ratio=2.0 ** (float(rng.normal(0.0, config.pitch_spread)) / 12.0),
            damp_s=self._damping(role),
            filters=self._equaliser(role),
            mic_gains=self._mic_gains(piece),
            level_db=float(mean + rng.normal(0.0, spread * config.level_scale)),
        )

    def _damping(self, role: str) -> float | None:
        rng = self._rng
        wash = self._config.wash_share if role in _CYMBAL_ROLES - {HIHAT} else 0.0
        if wash and rng.random() < wash:
            return -float(rng.uniform(*_WASH_S))
        if rng.random() >= self._config.damp_share:
            return None
        middle = 1.6 if role in _CYMBAL_ROLES else 0.35
        return float(middle * np.exp(rng.normal(0.0, 0.6)))

    def _equaliser(self, role: str) -> np.ndarray | None:
        rng, spread = self._rng, self._config.eq_spread_db
        if spread <= 0.0:
            return None
        low = 60.0 if role == "kick" else 150.0
        sections = [
            shelf(float(low * np.exp(rng.uniform(-0.9, 0.9))), float(rng.normal(0.0, spread)), high=False),
            shelf(float(5000.0 * np.exp(rng.uniform(-0.9, 0.9))), float(rng.normal(0.0, spread)), high=True),
            peaking(float(np.exp(rng.uniform(5.3, 8.9))), float(rng.normal(0.0, 1.4 * spread)), 0.9),
        ]
        if self._config.click_db and role not in _CYMBAL_ROLES and rng.random() < _CLICK_SHARE:
            sections.append(
                shelf(rng.uniform(2500.0, 7000.0), rng.uniform(0.0, self._config.click_db), high=True)
            )
        return np.vstack(sections)

    def _mic_gains(self, piece: Piece) -> dict[str, float]:
        rng, spread = self._rng, self._config.mic_spread_db
        common = {"close": self._near_db, "overhead": -self._near_db, "room": self._room_db}
        gains = {}
        for name, role in piece.mic_roles.items():
            gains[name] = float(10 ** ((common[role] + rng.normal(0.0, spread)) / 20))
        # Now and then a song has only overheads, or no room.
        mute = str(rng.choice(("", "", "", "close", "room", "room")))
        if any(role not in (mute, "room") for role in piece.mic_roles.values()):
            gains = {n: g for n, g in gains.items() if piece.mic_roles[n] != mute}
        return gains

    def _choose(self, voice: Voice, label: str, velocity: float, openness: float | None) -> Take | None:
        takes = [t for t in voice.piece.takes if not t.choke] or list(voice.piece.takes)
        if voice.piece.role == HIHAT:
            takes = self._hat_takes(voice, takes, label, openness)
        else:
            same = [t for t in takes if t.label == label]
            takes = same or takes
        if not takes:
            return None
        distances = np.array([0.0 if t.velocity is None else abs(t.velocity - velocity) for t in takes])
        near = np.flatnonzero(distances <= distances.min() + _NEAR)
        return takes[int(self._rng.choice(near))]

    def _hat_takes(self, voice: Voice, takes: list[Take], label: str, openness: float | None) -> list[Take]:
        if label in ("hihat_pedal", "hihat_foot_splash"):
            exact = [t for t in takes if t.label == label]
            if exact:
                return exact
            if label == "hihat_foot_splash":
                return []
            # A kit without a recorded foot: another kit's.
            others = [
                t
                for p in self._bank.pieces[HIHAT]
                if not _is_machine(p)
                for t in p.takes
                if t.label == label and not t.choke
            ]
            return others
        sticks = [t for t in takes if t.label in ("hihat_closed", "hihat_half", "hihat_open")]
        wanted = openness if openness is not None else 0.05
        gaps = np.array([abs((t.openness if t.openness is not None else 0.3) - wanted) for t in sticks])
        if not len(gaps):
            return []
        return [t for t, gap in zip(sticks, gaps, strict=True) if gap <= gaps.min() + 0.03]
