"""The recipe of a transcriber: what it may say, and which faults are named before anything is done."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from song_recipes import RECIPE, data, recipe_file

from beatsight.errors import InputError
from beatsight.train.songs.recipe import read_recipe, render_config, train_config


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data(tmp_path_factory.mktemp("recipe") / "data")


def test_the_recipe_of_the_shipped_model_can_be_read() -> None:
    recipe = read_recipe(Path(__file__).parents[2] / "recipes" / "transcriber.toml")
    assert {"transcriber", "transcriber-streaming"} <= {stage.model for stage in recipe.stages}
    assert train_config(recipe.stages[0]).network.bands == 80


def test_a_set_is_like_another_but_for_what_it_says(tmp_path: Path) -> None:
    more = '\n[sets.more]\nlike = "train"\nseed = 9\nbus = { hall_share = 1.0 }\n'
    sets = read_recipe(recipe_file(tmp_path, RECIPE.replace("\n[[stages]]", more + "\n[[stages]]", 1))).sets
    assert sets["more"] == msgspec.structs.replace(sets["train"], seed=9, bus={"hall_share": 1.0})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title", "titel", "titel"),
        ('sets = ["train"]', 'sets = ["trian"]', "cannot learn from the set 'trian'"),
        ('sets = ["train"]', 'sets = ["validation"]', "cannot learn from the set 'validation'"),
        ("[sets.validation]", "[sets.other]", "needs a set of songs named 'validation'"),
        ('name = "only"', 'name = "only"\nstart = "first"', "starts from 'first'"),
        ('name = "only"', 'name = "only"\nstart = "only"', "starts from 'only', which is not a stage before"),
        ('sets = ["train"]', "sets = []", "needs either sets to learn from or mean_of"),
        ("drums = 1", 'drums = "many"', "drums"),
        ("drums = 1", "drums = 0", r"drums"),
        ("[[stages]]", "[[stages", "recipe.toml"),
        ("frames = 200", "frame = 200", r"recipe table \[stages only mix\]: unknown setting 'frame'"),
        (
            "frames = 200",
            'frames = "200"',
            r"\[stages only mix\]: Expected `int`, got `str` - at `\$.frames`",
        ),
        ("every = 2", "every = 0", r"\[stages only training\]: .*every must be positive"),
        ("every = 2", "every = 2, network = {}", "unknown setting 'network'"),
        ("width = 8", "width = 8, kernel = 2", r"\[stages only network\]: .*kernel must be odd"),
        ("seed = 1\n", "seed = 1\nbus = { hal_share = 1.0 }\n", r"\[sets.train.bus\]: unknown .*'hal_share'"),
        ('name = "only"', 'name = "../only"', "'../only' cannot name a set, a stage or a model"),
        ('name = "only"', 'name = "shards"', "cannot be named 'shards'"),
        ("[sets.train]", '[sets."a/b"]', "'a/b' cannot name"),
        (
            "seed = 2",
            'seed = 2\nlike = "tarin"',
            "set 'validation' is like 'tarin', which is not a set before it",
        ),
        ("seed = 1", 'seed = 1\nlike = "validation"', "set 'train' is like 'validation', which is not"),
        ("seed = 1", "seed = 1\nlike = [1]", r"set 'train' is like \[1\], which is not"),
        ('model = "tiny"', 'model = "/tiny"', "'/tiny' cannot name"),
    ],
)
def test_a_faulty_recipe_is_refused_by_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = RECIPE.replace(old, new, 1)
    assert text != RECIPE
    with pytest.raises(InputError, match=message) as caught:
        read_recipe(recipe_file(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path / "recipe.toml"))


def test_two_stages_do_not_share_a_folder_or_a_model(tmp_path: Path) -> None:
    stage = RECIPE[RECIPE.index("[[stages]]") :]
    with pytest.raises(InputError, match="cannot be named 'only': there is a folder of that name"):
        read_recipe(recipe_file(tmp_path, RECIPE + stage))
    with pytest.raises(InputError, match="two stages make a model named 'tiny'"):
        read_recipe(recipe_file(tmp_path, RECIPE + stage.replace('"only"', '"other"')))


def test_lists_of_a_table_are_the_tuples_of_the_settings(tmp_path: Path) -> None:
    text = RECIPE.replace("batch = 1", "batch = 1, gain_db = [-3, 2.5]")
    config = train_config(read_recipe(recipe_file(tmp_path, text)).stages[0])
    assert config.mix.gain_db == (-3.0, 2.5) and config.network.stem == (4, 4) and config.steps == 2


def test_links_in_the_data_folder_are_followed_and_ways_out_of_it_refused(root: Path, tmp_path: Path) -> None:
    linked = tmp_path / "data"
    linked.mkdir()
    for name in ("kits", "grooves", "sounds"):
        (linked / name).symlink_to(root / name)
    found = render_config(read_recipe(recipe_file(tmp_path)), "train", linked)
    assert found.kits == (linked / "kits",) and [p.name for p in found.recordings] == ["tone.wav"]
    for way in ("../kits", "kits/../../kits", str(root / "kits")):
        outside = read_recipe(recipe_file(tmp_path, RECIPE.replace('["kits"]', f'["{way}"]')))
        with pytest.raises(InputError, match=r"set 'train': .*is not a path inside the data folder"):
            render_config(outside, "train", root)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["kits"]', '["kits", "kit"]', r"set 'train': .*kit: no such file or folder, which the recipe uses"),
        ('["sounds"]', '["sounds", "guitars"]', r"guitars: no such file or folder"),
        ('["sounds"]', '["grooves"]', r"grooves: holds no recordings"),
        ('["sounds"]', '["sounds"]\nwithout_recordings = ["tune"]', "no recording has 'tune' in its name"),
        ('["sounds"]', '["sounds"]\nonly_recordings = ["tone", "tune"]', "no recording has 'tune'"),
    ],
)
def test_data_that_is_not_there_is_named(
    root: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    recipe = read_recipe(recipe_file(tmp_path, RECIPE.replace(old, new, 1)))
    with pytest.raises(InputError, match=message):
        render_config(recipe, "train", root)
